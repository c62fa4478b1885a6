"""The aggregate is the weighted mean, in constant memory, or nothing at all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from scatter.learning.aggregation import aggregate, score_weights, uniform_weights
from scatter.learning.model_file import BLOCK_BYTES, ModelRefused, check_model
from scatter.learning.model_schema import ModelSchema, TensorType
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Score

LENGTH = BLOCK_BYTES // 4 * 2 + 3
"""Of a float32 tensor that takes two blocks and a bit."""


def schema_of(dtype: str, length: int = LENGTH) -> ModelSchema:
    return ModelSchema({"w": TensorType(dtype, (length,))})


@pytest.fixture
def save(tmp_path: Path):
    def save(*tensors: np.ndarray) -> list[Path]:
        paths = [tmp_path / f"{position}.safetensors" for position in range(len(tensors))]
        for path, tensor in zip(paths, tensors, strict=True):
            save_file({"w": tensor}, path)
        return paths

    return save


@pytest.mark.parametrize(
    ("dtype", "error"), [("float16", 1e-3), ("float32", 1e-6), ("float64", 1e-15)]
)
def test_is_the_weighted_mean(tmp_path, save, dtype, error):
    draw = np.random.default_rng(1)
    tensors = [draw.random(LENGTH).astype(dtype) for _ in range(3)]
    weights = [1.0, 2.0, 5.0]

    aggregate(list(zip(save(*tensors), weights, strict=True)), schema_of(dtype), tmp_path / "mean")

    check_model(tmp_path / "mean", schema_of(dtype))
    expected = np.average(np.array(tensors, np.float64), axis=0, weights=weights)
    np.testing.assert_allclose(load_file(tmp_path / "mean")["w"], expected, rtol=error)


def test_is_the_same_to_the_last_bit_every_time(tmp_path, save):
    draw = np.random.default_rng(2)
    models = [(path, 1 / 3) for path in save(*draw.random((5, LENGTH), np.float32))]

    aggregate(models, schema_of("float32"), tmp_path / "one")
    aggregate(models, schema_of("float32"), tmp_path / "two")

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_puts_every_block_of_every_tensor_at_its_place(tmp_path):
    draw = np.random.default_rng(3)
    shapes = {"half": np.float16, "single": np.float32, "double": np.float64, "count": np.int32}
    schema = ModelSchema({n: TensorType(np.dtype(t).name, (LENGTH,)) for n, t in shapes.items()})
    weights = {name: (100 * draw.random(LENGTH)).astype(kind) for name, kind in shapes.items()}
    save_file(weights, tmp_path / "model")

    aggregate([(tmp_path / "model", 1.0)], schema, tmp_path / "mean")

    assert all(np.array_equal(load_file(tmp_path / "mean")[n], weights[n]) for n in weights)


def test_takes_whole_numbers_from_the_heaviest_model(tmp_path, save):
    paths = save(*(np.full(3, value, np.int64) for value in (1, 2, 3)))

    aggregate(list(zip(paths, [1.0, 5.0, 5.0], strict=True)), schema_of("int64", 3), tmp_path / "m")

    assert load_file(tmp_path / "m")["w"].tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "weights", [[], [0.0], [-1.0, 2.0], [float("nan")], [float("inf")], [1.0] * 65]
)
def test_refuses_weights_without_a_mean(tmp_path, save, weights):
    (path,) = save(np.zeros(3, np.float32))

    with pytest.raises(BadInput):
        aggregate([(path, weight) for weight in weights], schema_of("float32", 3), tmp_path / "m")


@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_refuses_a_model_with_infinity_by_name_and_writes_nothing(tmp_path, save, weight):
    good, bad = save(np.zeros(3, np.float32), np.array([0, np.inf, 0], np.float32))

    with pytest.raises(ModelRefused, match=r"1.safetensors: tensor w has a number"):
        aggregate([(good, 1.0), (bad, weight)], schema_of("float32", 3), tmp_path / "mean")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.safetensors", "1.safetensors"]


def test_refuses_a_model_of_another_shape(tmp_path, save):
    paths = save(np.zeros(3, np.float32), np.zeros(4, np.float32))

    with pytest.raises(ModelRefused):
        aggregate([(path, 1.0) for path in paths], schema_of("float32", 3), tmp_path / "mean")


def test_weighs_by_the_square_of_the_score():
    assert score_weights([Score(5_000), Score(10_000)]) == [25e6, 100e6]
    assert uniform_weights(2) == [1.0, 1.0]


def test_needs_no_more_memory_for_more_models(tmp_path, save):
    (path,) = save(np.ones(16 << 20, np.float32))
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from scatter.learning.aggregation import aggregate\n"
        "from scatter.learning.model_schema import ModelSchema, TensorType\n"
        "schema = ModelSchema({'w': TensorType('float32', (16 << 20,))})\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"aggregate([(Path({str(path)!r}), 1.0)] * 8, schema, Path({str(tmp_path / 'm')!r}))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    kilobytes = int(result.stdout)
    assert kilobytes < 16 << 10, "8 models of 64 MiB each"
