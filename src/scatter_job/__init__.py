"""What the author of a job imports: `Weights` and `Trained`.

A training job's `train.py` defines

    def train(data: Path, base: Weights | None, settings: dict) -> Trained

and an evaluation job's `evaluate.py` defines

    def evaluate(weights: Weights, data: Path, settings: dict) -> float

`python -m scatter_job` runs either one, in a node's sandbox or on the author's own desk. This
package needs numpy and safetensors only and knows nothing of the node.
"""

from scatter_job.model import Trained, Weights

__all__ = ["Trained", "Weights"]
