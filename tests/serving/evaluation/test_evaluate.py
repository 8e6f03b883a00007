"""`ouzel evaluate` and `ouzel warmup`, run as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.cli import main

WARM_UPS = 4
"""Two processes that write to numba's index may lose a kernel; the next warm-up adds it again."""


def ouzel(*arguments: str, cwd: Path | None = None, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving.cli", *arguments]
    root = str(Path(__file__).parents[3])
    env = {**os.environ, "PYTHONPATH": root, "COLUMNS": "160", **extra}
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 clicks in sessions of six, each click on the item after the previous one."""
    path = tmp_path_factory.mktemp("clicks") / "clicks.txt"
    lines = [f"{n // 6 + 1}\t{1_700_000_000 + n}\ti{(n // 6 * 5 + n % 6) % 40}\n" for n in range(600)]
    path.write_text("SessionId\tTime\tItemId\n" + "".join(lines))
    return path


@pytest.mark.slow
def test_it_prints_a_table_and_writes_the_result_and_the_report(clicks: Path, tmp_path: Path) -> None:
    ran = ouzel(
        "evaluate", str(clicks), "--method", "popularity,markov,hybrid", "--json", "out/r.json", "--report", "page", cwd=tmp_path
    )
    assert ran.returncode == 0, ran.stderr
    assert "600 events, 500 predictions" in ran.stdout
    result = json.loads((tmp_path / "out/r.json").read_text())
    assert (result["dataset"], result["events"], result["predictions"], result["items"]) == ("clicks.txt", 600, 500, 40)
    assert list(result["methods"]) == ["popularity", "markov", "hybrid"]
    for measures in result["methods"].values():
        assert measures["recall@20"] >= measures["recall@5"] >= measures["recall@1"] == measures["mrr@1"]
        assert measures["recall@20_low"] <= measures["recall@20"] <= measures["recall@20_high"]
        assert measures["events_per_second"] > 0
        assert measures["peak_memory_mb"] > 50
    assert result["methods"]["markov"]["mrr@20"] > 0.7 > result["methods"]["popularity"]["mrr@20"]
    shares = [share for _, share in result["methods"]["hybrid"]["gate"]]
    assert sum(shares) == pytest.approx(1)
    page = (tmp_path / "page/index.html").read_text()
    assert "markov" in page
    assert "<svg" in page


@pytest.mark.slow
def test_json_alone_prints_one_document_and_everything_else_goes_to_standard_error(clicks: Path, tmp_path: Path) -> None:
    ran = ouzel("evaluate", str(clicks), "--method", "popularity", "--report", "page", "--json", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["methods"]["popularity"]["recall@20"] > 0
    assert "600 events, 500 predictions" in ran.stderr
    assert "The report is at page" in ran.stderr
    assert "…" not in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--method", "oracle"], 2, "oracle is not a method"),
        (["--encoder", "bert"], 2, "bert is not an encoder"),
        (["--profile", "slow"], 2, "slow is not a profile"),
        (["--frozen"], 2, "--frozen needs --test"),
        (["--drift", "flood"], 2, "is not a drift"),
        (["--test", "nowhere.txt"], 2, "no file nowhere.txt"),
        (["--columns", "what"], 2, "'what' is not FIELD=COLUMN"),
        (["--columns", "user_id=nobody,item_id=ItemId,timestamp=Time"], 2, "no column nobody"),
    ],
)
def test_a_wrong_option_is_an_error_of_one_line(
    clicks: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(clicks), *arguments])
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == code
    assert line.startswith("ouzel: ")
    assert message in line


@pytest.mark.slow
def test_a_warm_up_compiles_into_the_cache_that_is_named(tmp_path: Path) -> None:
    """With the model of the fewest kernels: those of the hybrid take a minute."""
    cache = {"NUMBA_CACHE_DIR": str(tmp_path), "OUZEL_MODEL": "markov"}
    first, second = ouzel("warmup", **cache), ouzel("warmup", **cache)
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "compiled" in first.stdout
    assert "nothing to compile" in second.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "profile"), [("recency", "fast"), ("gru", "balanced")])
def test_after_a_warm_up_there_is_nothing_to_compile(encoder: str, profile: str) -> None:
    """Every kernel of the hybrid comes from the cache beside the code, which other tests use."""
    settings = {"OUZEL_MODEL": "hybrid", "OUZEL_ENCODER": encoder, "OUZEL_PROFILE": profile}
    for _ in range(WARM_UPS):
        last = ouzel("warmup", **settings)
        assert last.returncode == 0, last.stderr
        if "nothing to compile" in last.stdout:
            return
    pytest.fail(f"a kernel is compiled at every start: {last.stdout}")


@pytest.mark.parametrize(("method", "recall", "mrr"), [("hybrid", 0.61, 0.36), ("fixed_sum", 0.59, 0.34)])
def test_on_real_clicks(data: Path, tmp_path: Path, method: str, recall: float, mrr: float) -> None:
    """On the first 20,000 clicks of rsc15; docs/model.md has the figures for all of it."""
    ran = ouzel("evaluate", str(data / "rsc15"), "--limit", "20000", "--method", method, "--json", str(tmp_path / "r.json"))
    assert ran.returncode == 0, ran.stderr
    measures = json.loads((tmp_path / "r.json").read_text())["methods"][method]
    assert measures["recall@20"] > recall
    assert measures["mrr@20"] > mrr


def test_recall_is_no_better_than_popularity_if_items_are_shuffled_over_the_events(data: Path, tmp_path: Path) -> None:
    import random

    lines = [line for path in sorted((data / "rsc15").glob("*.txt")) for line in path.read_text().splitlines()[1:]]
    rows = sorted((line.split("\t") for line in lines), key=lambda row: float(row[2]))[:15_000]
    items = [row[1] for row in rows]
    random.Random(0).shuffle(items)
    path = tmp_path / "shuffled.txt"
    path.write_text("SessionId\tTime\tItemId\n" + "".join(f"{r[0]}\t{r[2]}\t{i}\n" for r, i in zip(rows, items, strict=True)))
    ran = ouzel("evaluate", str(path), "--method", "popularity,hybrid", "--json", str(tmp_path / "r.json"))
    assert ran.returncode == 0, ran.stderr
    methods = json.loads((tmp_path / "r.json").read_text())["methods"]
    assert methods["hybrid"]["recall@20"] < methods["popularity"]["recall@20"] + 0.014
