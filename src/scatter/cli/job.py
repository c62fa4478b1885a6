"""`scatter job`: write a job, publish it, look into it, watch it, take part in it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from scatter.cli.inspection import show_finding, show_inspection
from scatter.cli.output import AsJson, show_fields, show_json, show_table
from scatter.cli.running_node import DEFAULT_CONFIG, ConfigFile, RunningNode
from scatter.mechanism.errors import BadInput

app = typer.Typer(
    help="Write, publish, list, inspect, join, start jobs, and get their results.\n\n"
    "Example: scatter job list --phase open"
)

Number = Annotated[int, typer.Argument(min=1, help="The number of the job.")]


def _folder(help_: str) -> Any:
    return typer.Argument(exists=True, file_okay=False, resolve_path=True, help=help_)


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="Where to write; must not exist yet.")],
    topic: Annotated[str, typer.Option(help="What trainers match their data by.")] = "my-topic",
    trainers: Annotated[int, typer.Option(min=1, max=64, help="Shares of the example data.")] = 3,
    json: AsJson = False,
) -> None:
    """Writes a training job, an evaluation job and data to try them, ready to run and to change.

    Example: scatter job new my-job --topic handwritten-digits
    """
    from scatter.cli.scaffold import write_job

    written = write_job(folder, topic, trainers)
    if json:
        show_json({name: str(path) for name, path in written.items()})
        return
    show_fields(written.items())
    training, evaluation, data = (written[name] for name in ("training", "evaluation", "data"))
    typer.echo(
        "\nRead job.toml in both folders, then try them as they stand:\n"
        f"  python -m scatter_job train --job {training} --data {data / 'trainer-1'} "
        f"--out {folder / 'models'}\n"
        f"  python -m scatter_job evaluate --job {evaluation} --data {data / 'eval'} "
        f"--models {folder / 'models'} --out {folder / 'scores'}\n"
        "Publish them:\n"
        f"  scatter job publish {training} {evaluation} {data / 'eval'} "
        "--reward 1000 --threshold 0.7"
    )


@app.command()
def publish(
    training: Annotated[Path, _folder("The folder that every trainer runs.")],
    evaluation: Annotated[Path, _folder("The folder that every validator runs.")],
    dataset: Annotated[Path, _folder("The folder that models are scored on.")],
    *,
    reward: Annotated[str, typer.Option(help="Tokens, such as 1000.")],
    threshold: Annotated[str, typer.Option(help="The least score that is paid, such as 0.8.")],
    floor: Annotated[
        str | None, typer.Option(help="Below it a stake is lost; by default the threshold.")
    ] = None,
    trainers: Annotated[int, typer.Option(min=1, max=64, help="How many may join.")] = 16,
    least_stake: Annotated[str, typer.Option(help="Tokens that a trainer stakes.")] = "1",
    hours: Annotated[float, typer.Option(min=0.0, max=336.0, help="To train.")] = 1.0,
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Publishes a job: its training job, evaluation job and (secret until then) dataset.

    Example: scatter job publish my-job/training my-job/evaluation my-job/data/eval
    --reward 1000 --threshold 0.8 --hours 2
    """
    proposal: dict[str, Any] = {
        "training_job": str(training),
        "evaluation_job": str(evaluation),
        "dataset": str(dataset),
        "reward": reward,
        "threshold": threshold,
        "floor": floor,
        "most_trainers": trainers,
        "least_stake": least_stake,
        "training_hours": hours,
    }
    answer = RunningNode(config).post("/jobs", proposal)
    _say(answer, json, f"Published as job {answer['job']}.")


@app.command("list")
def list_(
    phase: Annotated[str | None, typer.Option(help="Only this phase, such as open.")] = None,
    newest: Annotated[int | None, typer.Option(min=1, help="Begin with this number.")] = None,
    most: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 20,
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Lists jobs, the newest first.

    Example: scatter job list --phase open --json
    """
    answer = RunningNode(config).get("/jobs", phase=phase, newest=newest, most=most)
    if json:
        show_json(answer)
        return
    columns = ["job", "phase", "topic", "reward", "threshold", "trainers", "my part"]
    rows = [
        [
            job["job"],
            job["phase"],
            job["topic"],
            job["reward"],
            job["threshold"],
            f"{len(job['trainers'])}/{job['most_trainers']}",
            job["part"],
        ]
        for job in answer["jobs"]
    ]
    show_table("Jobs", columns, rows)
    if answer["following"]:
        typer.echo(f"Older ones: scatter job list --newest {answer['following']}")


@app.command()
def show(job: Number, config: ConfigFile = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """Shows one job as it stands.

    Example: scatter job show 1
    """
    answer = RunningNode(config).get(f"/jobs/{job}")
    if json:
        show_json(answer)
        return
    tables = ("trainers", "committee", "accusations")
    show_fields((n.replace("_", " "), v) for n, v in answer.items() if n not in tables)
    for name in tables:
        rows = answer[name]
        if rows:
            show_table(name.capitalize(), list(rows[0]), [list(row.values()) for row in rows])


@app.command()
def inspect(
    job: Annotated[str, typer.Argument(help="The number of a job, or a folder of yours.")],
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Shows what a job holds: files, imports, limits, suspicious places. Nothing of it is run.

    Example: scatter job inspect 1
    """
    if job.isdecimal():
        answer = RunningNode(config).get(f"/jobs/{job}/inspection")
        parts = {f"The {part} job": answer[part] for part in ("training", "evaluation")}
    else:
        answer = _inspect_folder(Path(job))
        parts = {job: answer}
    if json:
        show_json(answer)
        return
    for title, seen in parts.items():
        show_inspection(title, seen)
    if job.isdecimal():
        word = "is approved" if answer["approved"] else f"not approved: scatter job approve {job}"
        typer.echo(f"\nJob {job}: {word}")


def _inspect_folder(folder: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from scatter.adapters.inspection import inspect_apart_now

    if not folder.is_dir():
        raise BadInput(f"{folder} is neither the number of a job nor a folder")
    return asdict(inspect_apart_now(folder))


@app.command()
def approve(job: Number, config: ConfigFile = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """Lets a node join and run a job that waits for it; `scatter status` lists those that do.

    Example: scatter job approve 1 --config trainer-1/node.toml
    """
    answer = RunningNode(config).post(f"/jobs/{job}/approve")
    _say(answer, json, f"Job {job} is approved; the node goes on with it.")


@app.command()
def join(
    job: Number,
    stake: Annotated[str, typer.Argument(help="Tokens, such as 1000.")],
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Joins a job by hand, with a stake; the node trains by itself when training starts.

    Example: scatter job join 1 1000 --config trainer-1/node.toml
    """
    answer = RunningNode(config).post(f"/jobs/{job}/join", {"stake": stake})
    _say(answer, json, f"Joined job {job} with {stake} tokens.")


@app.command()
def start(job: Number, config: ConfigFile = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """Starts the training of a job that has trainers.

    Example: scatter job start 1 --config requester/node.toml
    """
    answer = RunningNode(config).post(f"/jobs/{job}/start")
    _say(answer, json, f"Training of job {job} has started.")


@app.command()
def findings(job: Number, config: ConfigFile = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """Shows what this node found when it evaluated a job, and what shows it.

    A validator and a challenger keep it for every job that they evaluated; what they refrained or
    accused for is published, and the CID is shown.

    Example: scatter job findings 1 --config validator-1/node.toml
    """
    answer = RunningNode(config).get(f"/jobs/{job}/findings")
    if json:
        show_json(answer)
        return
    for found in answer["findings"]:
        show_finding(found)


@app.command()
def result(job: Number, config: ConfigFile = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """Shows where the aggregate of a job lies, and of which models it was made.

    Example: scatter job result 1 --json
    """
    answer = RunningNode(config).get(f"/jobs/{job}/result")
    if json:
        show_json(answer)
        return
    typer.echo(f"model  {answer['model'] or '-'}")
    if answer["shares"]:
        rows = [list(share.values()) for share in answer["shares"]]
        show_table("Made of", list(answer["shares"][0]), rows)


def _say(answer: Any, json: bool, sentence: str) -> None:
    if json:
        show_json(answer)
    else:
        typer.echo(sentence)
