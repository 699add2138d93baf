"""The learning rate as a function of how far a stage is."""

from adapters_training.settings.run import OptimizerSettings, StageSettings


def stage_progress(settings: StageSettings, *, step: int, seconds: float) -> float:
    """Tell which part of a stage is behind, by steps or by time, whichever is nearer its end.

    Args:
        settings: Of the stage.
        step: Steps done.
        seconds: Training time used, all attempts together.

    Returns:
        In [0, 1]; 1 = the stage is over.
    """
    by_steps = step / settings.steps
    by_time = seconds / settings.time_budget_seconds if settings.time_budget_seconds else 0.0
    return min(1.0, max(by_steps, by_time))


def learning_rate(settings: OptimizerSettings, *, step: int, progress: float) -> float:
    """Compute the learning rate of a step.

    Args:
        settings: Peak, warm-up and shape.
        step: Steps done before this one.
        progress: From `stage_progress`.
    """
    warmup = min(1.0, (step + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
    decay = 1.0 - progress if settings.schedule == "linear" else 1.0
    return settings.learning_rate * warmup * decay
