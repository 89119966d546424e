"""What jobs ask of a cluster."""
import typing as tp

from .. import environment
environment.prepare(lean=True)
from audiocraft.environment import AudioCraftEnvironment


def job(base: str) -> tp.Dict[str, tp.Any]:
    """Slurm settings of a job, by the size of its base model, from the team's configuration (config/teams).

    Args:
        base (str): Name or folder of the base model; what it ends in tells its size.
    """
    sizes = AudioCraftEnvironment.instance()._get_cluster_config().get('slurm', {})
    size = next((size for size in sizes if base.rstrip('/').endswith(size)), '')
    return {'partition': AudioCraftEnvironment.get_slurm_partitions(), **sizes.get(size, {})}
