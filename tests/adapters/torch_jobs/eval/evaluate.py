"""The share of 512 other examples on which the model is right."""

import torch


def evaluate(weights, data, settings):
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    torch.manual_seed(settings["seed"] + 1)
    numbers = torch.randn(512, 8)
    same = numbers[:, :1] * numbers[:, 1:2] > 0
    return float(((model(numbers) > 0) == same).float().mean())
