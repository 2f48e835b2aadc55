#!/usr/bin/env bash
# The commands for FusionBench's main table: CLIP ViT-B/32 on eight tasks, every method that is here.
#
#     examples/reproduce/clip_vit_b32_ta8.sh [FOLDER] [KEY=VALUE ...]      for example fast_dev_run=true
#
# STATUS: NOT RUN. It needs the Hugging Face hub (about 3.2 GB of models, 25 GB of datasets); no figure in this
# repository comes from it. What FusionBench published is put beside the result by --reference.
#
# `main` is UNPINNED: whatever the hub serves on the day. Write the commit's hash in its place once it is known; the
# report of each run states the SHA-256 of the weights that were read.
set -euo pipefail
folder=${1:-outputs/clip_vit_b32_ta8}
shift || true

# model          hub id                                         revision
models="
_pretrained_    openai/clip-vit-base-patch32                    main
sun397          tanganke/clip-vit-base-patch32_sun397           main
stanford-cars   tanganke/clip-vit-base-patch32_stanford-cars    main
resisc45        tanganke/clip-vit-base-patch32_resisc45         main
eurosat         tanganke/clip-vit-base-patch32_eurosat          main
svhn            tanganke/clip-vit-base-patch32_svhn             main
gtsrb           tanganke/clip-vit-base-patch32_gtsrb            main
mnist           tanganke/clip-vit-base-patch32_mnist            main
dtd             tanganke/clip-vit-base-patch32_dtd              main
"
members=()
while read -r name id revision; do
  [ -z "${name:-}" ] || members+=("modelpool.models.$name={_target_: transformers.CLIPVisionModel.from_pretrained, \
pretrained_model_name_or_path: $id, revision: $revision}")
done <<<"$models"

run() { # METHOD [KEY=VALUE ...]: one row of the table
  fusion-stack "method=$1" "${@:2}" \
    modelpool=CLIPVisionModelPool/clip-vit-base-patch32_TA8 \
    taskpool=CLIPVisionModelTaskPool/clip-vit-classification_TA8 \
    merged_model_save_path=false "path.log_dir=$folder/$1" "${members[@]}" "${common[@]}"
}
common=("$@")

run dummy                                               # pretrained
run individual                                          # fine-tuned, each model on its own task
run ensemble/simple_ensemble
run simple_average
run task_arithmetic method.scaling_factor=0.3
run ties_merging method.scaling_factor=0.3 method.threshold=20 method.merge_func=sum
# Fisher, RegMean, AdaMerging, Concrete, Iso, TSVM, WUDI and WEMoE are not here yet.

fusion-stack-table "$folder" --reference clip-vit-base-patch32_TA8 \
  --output "$folder/table.md" --chart "$folder/table.png"
cat "$folder/table.md"
