"""The measurements as pytest-benchmark runs them; fusion_kernels.bench.runner hands the settings in."""

from __future__ import annotations

from typing import Any

import pytest

from fusion_kernels._native import native
from fusion_kernels.bench.measurement import Measurement
from fusion_kernels.bench.recording import Recorder
from fusion_kernels.bench.settings import Point, points
from fusion_kernels.bench.subjects import Laboratory


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "point" in metafunc.fixturenames:
        metafunc.parametrize("point", points(metafunc.config.bench_settings), ids=str)  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def laboratory(request: pytest.FixtureRequest) -> Laboratory:
    return Laboratory(request.config.bench_settings)  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def recorder(request: pytest.FixtureRequest, laboratory: Laboratory) -> Recorder:
    return Recorder(laboratory, request.config.bench_files)  # type: ignore[attr-defined]


def test_point(benchmark: Any, laboratory: Laboratory, recorder: Recorder, point: Point) -> None:
    try:
        measurement = Measurement(laboratory, point)
    except native().DeviceError as error:
        if not point.is_operation:
            raise
        pytest.skip(str(error))
    rounds = laboratory.settings.rounds
    benchmark.pedantic(measurement.run, setup=measurement.prepare, rounds=rounds, warmup_rounds=1)
    row = measurement.row()
    benchmark.extra_info.update(row)
    recorder.record(point, row)
