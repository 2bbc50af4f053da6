"""Files that start a planned training on a cluster."""

import math
from collections.abc import Sequence
from pathlib import Path

from .errors import RecipeError
from .plan import Step
from .stage import Demand

DEVICES_PER_NODE = 8
MARGIN = 1.25
"""Of the planned time, so that an estimate that is a little low does not cost the job."""
HOST_MEMORY_SHARE = 2.0
"""Memory of a node for each byte of its devices that the training uses: loading, checkpoints, the page cache."""

SLURM = """#!/bin/bash
# {summary}
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={gpus}
#SBATCH --mem={memory}G
#SBATCH --time={hours:02d}:{minutes:02d}:00
#SBATCH --signal=TERM@120
#SBATCH --requeue

first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun torchrun \\
    --nnodes "$SLURM_NNODES" --nproc-per-node {gpus} \\
    --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$first:29500" \\
    -m lingraft run {recipe}{shard} --store /shared/lingraft-store
"""
KUBERNETES = """# {summary}
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  clusterIP: None
  selector: {{job-name: {name}}}
---
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  completions: {nodes}
  parallelism: {nodes}
  completionMode: Indexed
  backoffLimit: 10
  activeDeadlineSeconds: {seconds}
  template:
    spec:
      subdomain: {name}
      restartPolicy: OnFailure
      terminationGracePeriodSeconds: 120
      containers:
        - name: train
          image: IMAGE_WITH_LINGRAFT
          command:
            - torchrun
            - --nnodes={nodes}
            - --nproc-per-node={gpus}
            - --rdzv-backend=c10d
            - --rdzv-id={name}
            - --rdzv-endpoint={name}-0.{name}:29500
            - -m
            - lingraft
            - run
            - {recipe}{shard}
            - --store=/shared/lingraft-store
          resources:
            limits: {{nvidia.com/gpu: {gpus}, memory: {memory}G}}
          volumeMounts:
            - {{name: shared, mountPath: /shared}}
            - {{name: shm, mountPath: /dev/shm}}
      volumes:
        - {{name: shared, persistentVolumeClaim: {{claimName: SHARED_VOLUME}}}}
        - {{name: shm, emptyDir: {{medium: Memory}}}}
"""
TEMPLATES = {"slurm": SLURM, "kubernetes": KUBERNETES}


def launch_file(scheduler: str, recipe: str, steps: Sequence[Step]) -> str:
    """The file for `slurm` or `kubernetes`: nodes, devices, memory and hours as the plan has them.

    Raises RecipeError where the recipe trains nothing or does not fit the devices.
    """
    trainings = [step for step in steps if step.forecast.training is not None]
    if not trainings:
        raise RecipeError("this recipe trains nothing, so that there is nothing to launch.")
    for step in trainings:
        if not step.forecast.training.fits:
            raise RecipeError(
                f"it needs about {step.forecast.training.device_bytes / 1e9:.0f} GB of memory on each device, "
                f"{step.forecast.training.device} has {step.forecast.training.device_memory_bytes / 1e9:.0f} GB.",
                where=step.name,
                remedy="\n  ".join(["What would fit:", *step.forecast.training.alternatives]),
            )
    largest: Demand = max((step.forecast.training for step in trainings), key=lambda training: training.device_bytes)
    nodes = math.ceil(largest.num_devices / DEVICES_PER_NODE)
    gpus = math.ceil(largest.num_devices / nodes)
    seconds = math.ceil(MARGIN * sum(step.forecast.seconds or 0 for step in steps) / 60) * 60
    minutes = seconds // 60
    memory = math.ceil(HOST_MEMORY_SHARE * gpus * largest.device_bytes / 1e9)
    shard = {"slurm": " --shard", "kubernetes": "\n            - --shard"}[scheduler] if largest.sharded else ""
    return TEMPLATES[scheduler].format(
        shard=shard,
        name=f"lingraft-{Path(recipe).stem}".lower().replace("_", "-"),
        recipe=recipe,
        summary=f"{nodes} x {gpus} {largest.device}, about {largest.device_bytes / 1e9:.0f} GB of "
        f"{largest.device_memory_bytes / 1e9:.0f} GB on each; "
        f"{MARGIN:g} times the planned {seconds / MARGIN / 3600:.1f} h",
        nodes=nodes,
        gpus=gpus,
        memory=memory,
        seconds=seconds,
        hours=minutes // 60,
        minutes=minutes % 60,
    )
