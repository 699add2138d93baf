"""The models of a project that are in memory: its encoder, and the language model under it."""

from typing import TYPE_CHECKING

from argot.encoders import find_encoder, load_encoder, load_encoder_with_generator
from argot.errors import SettingsError
from argot.paths import ProjectPaths
from argot.settings import EncoderChoice
from argot.stages import load_base
from encoder.base import DenseEncoder

if TYPE_CHECKING:
    from encoder.loading import Decoder
    from encoder.shared_weights import EncoderWithGenerator


class LoadedModels:
    """At most one encoder, and at most one language model beside it."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths
        self._choice: EncoderChoice | None = None
        self._encoder: DenseEncoder | None = None
        self._is_given = False
        self._generator: Decoder | None = None

    def give(self, choice: EncoderChoice, encoder: DenseEncoder | None) -> None:
        """Take an encoder that was made elsewhere for what a choice names."""
        self._choice, self._encoder, self._is_given = choice, encoder, True
        self._generator = None

    def encoder(
        self, choice: EncoderChoice, *, with_generator: bool = False
    ) -> DenseEncoder | None:
        """Load an encoder, unless it is there; it stays until another one is loaded.

        Args:
            choice: Which, and how; None is loaded where it names no model.
            with_generator: Have it over the weights of its language model, which is then there
                too; one that was loaded alone is loaded anew.
        """
        alone = with_generator and self._generator is None and not self._is_given
        if self._choice == choice and not (alone and choice.model):
            return self._encoder
        self._choice = self._encoder = self._generator = None
        if with_generator and choice.model:
            return self.with_generator(choice).encoder
        self._encoder, self._choice = load_encoder(choice, self._paths), choice
        self._is_given = False
        return self._encoder

    def with_generator(self, choice: EncoderChoice) -> "EncoderWithGenerator":
        """Load an encoder and its language model over one copy of the weights, and keep both.

        Raises SettingsError where no model is chosen.
        """
        pair = load_encoder_with_generator(choice, self._paths)
        from encoder.loading import Decoder

        self._choice, self._encoder, self._is_given = choice, pair.encoder, False
        self._generator = Decoder(model=pair.generator, tokenizer=pair.tokenizer)
        return pair

    def generator(self, choice: EncoderChoice) -> "Decoder":
        """Load the language model that an encoder was made of, unless it is there.

        Raises:
            SettingsError: no model is chosen.
        """
        if not choice.model:
            raise SettingsError(
                "this needs a language model; [encoder] names no model\n"
                "hint: set `language_model` in [stages] to a decoder's folder"
            )
        self.encoder(choice, with_generator=True)
        if self._generator is None:  # the encoder was made elsewhere
            folder = find_encoder(choice.model, self._paths)
            self._generator = load_base(folder, dtype=choice.dtype, device=choice.device)
        return self._generator
