"""Feed the loader, definition files and session files with broken bytes: only our own errors may come out.

Run by hand: ``python -m tests.fuzz loader|definition|session SECONDS [--random]``. With atheris installed the search is
guided by the code that each input reaches; without it, known inputs are changed at random. An input that breaks
something is printed, and belongs into ``SEEDS`` of fuzz_targets.py (the loader's into fuzz_loader.py), which the tests
try on every run.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def guided(name: str, seconds: float) -> None:
    """Let atheris search, starting from the known inputs; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["engagekit", "tomllib"]):
        import fuzz_targets
    target, folder = (
        fuzz_targets.TARGETS[name],
        Path(tempfile.mkdtemp(dir=fuzz_targets.quick_place())),
    )
    corpus, place, words = folder / "corpus", folder / "work", folder / "words"
    corpus.mkdir()
    place.mkdir()
    for number, content in enumerate(target.starts):
        (corpus / str(number)).write_bytes(content)
    words.write_text("".join(f'"{_escaped(w)}"\n' for w in target.words), encoding="ascii")

    def one(data: bytes) -> None:
        try:
            target.attempt(data, place)
        except BaseException:
            print(f"{data!r},", file=sys.stderr)
            raise

    flags = [
        f"-max_total_time={round(seconds)}", f"-dict={words}", f"-artifact_prefix={folder}/", "-max_len=4096", "-print_final_stats=1", "-rss_limit_mb=4096",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], str(corpus), *flags], one)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def main(arguments: list[str]) -> None:
    sys.path.insert(0, str(HERE))
    name, seconds = arguments[0], float(arguments[1])
    if importlib.util.find_spec("atheris") and "--random" not in arguments:
        guided(name, seconds)
    else:
        from fuzz_targets import campaign

        print("inputs:", campaign(name, seconds))


if __name__ == "__main__":
    main(sys.argv[1:])
