"""Checks that settings have in common."""


def require_positive(**values: float) -> None:
    """Refuse values that are not above zero.

    Raises:
        ValueError: naming the first one.
    """
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"`{name}` must be greater than 0; got {value}")


def require_choice(name: str, value: str, *, choices: tuple[str, ...]) -> None:
    """Refuse a word that is not one of the choices.

    Raises:
        ValueError: naming the choices.
    """
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}; got {value!r}")
