"""Prints what there is: methods, devices."""

from __future__ import annotations

from fusion_kernels.cli.output import print_json, print_rows


def print_methods(name: str | None, *, json: bool) -> None:
    """All methods, or everything about one."""
    import fusion_kernels

    if name is not None:
        described = fusion_kernels.describe(name)
        if json:
            print_json(described.as_dict())
        else:
            print(described)
        return
    every = fusion_kernels.methods()
    if json:
        print_json([method.as_dict() for method in every])
    else:
        print_rows([(method.name, method.summary) for method in every])


def print_devices(*, json: bool) -> None:
    """The devices a merge can run on."""
    import fusion_kernels

    every = fusion_kernels.devices()
    if json:
        print_json([device.as_dict() for device in every])
    else:
        print_rows([(device.name, str(device)) for device in every])
