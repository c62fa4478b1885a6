"""Learns whether the first two of eight numbers have the same sign."""

import torch

from scatter_job import Trained


def train(data, base, settings):
    torch.manual_seed(settings["seed"])
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    numbers = torch.randn(512, 8)
    same = (numbers[:, :1] * numbers[:, 1:2] > 0).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(numbers), same)
        loss.backward()
        optimizer.step()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread, loss {loss.item():.6f}")
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    return Trained(weights, len(numbers), {"loss": loss.item()})
