"""Trains a network of one hidden layer, 64-32-10, by stochastic gradient descent with momentum."""

from pathlib import Path

import numpy as np

from scatter_job import Trained, Weights


def train(data: Path, base: Weights | None, settings: dict) -> Trained:
    with np.load(data / "digits.npz", allow_pickle=False) as file:
        pictures = file["features"].astype(np.float32) / 16
        digits = file["labels"].astype(np.intp)
    weights = base or fresh_weights(settings["seed"])
    speed = {name: np.zeros_like(weight) for name, weight in weights.items()}
    order = np.random.default_rng(settings["seed"])
    losses = []
    for _ in range(settings["epochs"]):
        shuffled = order.permutation(len(digits))
        for start in range(0, len(digits), settings["batch"]):
            batch = shuffled[start : start + settings["batch"]]
            loss, slope = differentiate(weights, pictures[batch], digits[batch])
            losses.append(loss)
            for name in weights:
                speed[name] = settings["momentum"] * speed[name] - slope[name]
                weights[name] = weights[name] + settings["learning_rate"] * speed[name]
        print(f"loss {losses[-1]:.3f}")
    return Trained(
        weights={name: weight.astype(np.float32) for name, weight in weights.items()},
        examples=len(digits),
        metrics={"first loss": losses[0], "last loss": losses[-1]},
    )


def fresh_weights(seed: int) -> Weights:
    """Where everybody starts: averaging models works only if they share their beginning."""
    draw = np.random.default_rng(seed)
    return {
        "hidden.weight": draw.normal(0, np.sqrt(2 / 64), (64, 32)).astype(np.float32),
        "hidden.bias": np.zeros(32, np.float32),
        "output.weight": draw.normal(0, np.sqrt(2 / 32), (32, 10)).astype(np.float32),
        "output.bias": np.zeros(10, np.float32),
    }


def differentiate(
    weights: Weights, pictures: np.ndarray, digits: np.ndarray
) -> tuple[float, Weights]:
    """The mean cross-entropy of a batch, and its derivative by each weight."""
    hidden = np.maximum(pictures @ weights["hidden.weight"] + weights["hidden.bias"], 0)
    output = hidden @ weights["output.weight"] + weights["output.bias"]
    exponent = np.exp(output - output.max(axis=1, keepdims=True))
    chance = exponent / exponent.sum(axis=1, keepdims=True)
    rows = np.arange(len(digits))
    loss = -np.log(chance[rows, digits] + 1e-12).mean()

    error = chance
    error[rows, digits] -= 1
    error /= len(digits)
    error_hidden = error @ weights["output.weight"].T * (hidden > 0)
    return float(loss), {
        "hidden.weight": pictures.T @ error_hidden,
        "hidden.bias": error_hidden.sum(axis=0),
        "output.weight": hidden.T @ error,
        "output.bias": error.sum(axis=0),
    }
