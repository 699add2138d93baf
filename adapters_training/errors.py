"""Errors of the training package.

TrainingError
├── TrainingTextError          no text that a stage could learn from
├── TrainingPairsError         pairs that can't be read, or none left
├── RunFolderError             the run folder holds another run, or one that must be resumed
├── CheckpointError            a checkpoint could not be written or read
├── DivergedError              loss or gradient became NaN or infinite
└── TrainingInterruptedError   stopped by a signal; a checkpoint was written
"""


class TrainingError(Exception):
    """Anything that keeps a stage from ending with an adapter."""


class TrainingTextError(TrainingError):
    """Text that can't be read, or none left after cleaning."""


class TrainingPairsError(TrainingError):
    """Pairs that can't be read, or none that the contrastive stage could learn from."""


class RunFolderError(TrainingError):
    """A run folder that does not belong to this run."""


class CheckpointError(TrainingError):
    """A checkpoint that could not be written, or does not fit the run."""


class DivergedError(TrainingError):
    """A loss or gradient that is no finite number."""


class TrainingInterruptedError(TrainingError):
    """Training stopped on request; it resumes from its last checkpoint."""
