"""How convolutions draw their first weights, module by module in the order of construction."""

from collections.abc import Iterator

from torch import nn


def kaiming(network: nn.Module) -> None:
    """He's normal distribution for ReLU, from the fan out (arXiv 1502.01852)."""
    for convolution in convolutions(network):
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")


def xavier(network: nn.Module) -> None:
    """Glorot's uniform distribution (Glorot and Bengio 2010); biases, where there are any, are zero."""
    for convolution in convolutions(network):
        nn.init.xavier_uniform_(convolution.weight)
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)


def convolutions(network: nn.Module) -> Iterator[nn.Conv2d]:
    return (module for module in network.modules() if isinstance(module, nn.Conv2d))
