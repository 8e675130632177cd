"""Runs the scenarios side by side, and prints them."""

import json
import re
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from .peers import DIRECT
from .processes import free_port
from .scenarios import Context


def measure_once(scenario, peer, arguments):
    backend_port, listen_port = free_port(), free_port()
    context = Context(str(arguments.build / "bench/load/weir-bench"), arguments.seconds, arguments.sessions,
                      scenario.workers)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weir-bench-")))
        if scenario.path:
            context.hosts = stack.enter_context(scenario.path.hosts(context.load))
        with context.hosts.at("server"):
            context.server_pid = stack.enter_context(scenario.server(context, directory, backend_port)).pid
        if peer.name == DIRECT:
            context.port = backend_port
            return scenario.measure(context)
        second = (free_port(), free_port()) if scenario.second else None
        if second:
            stack.enter_context(scenario.second(context, directory, second[1]))
            context.second_port = second[0]
        scenario.prepare(directory)
        with context.hosts.at("balancer"):
            balancer = stack.enter_context(peer.start(directory, listen_port, backend_port, scenario.workers, second,
                                                      scenario.ways, context.hosts))
        context.port, context.balancer_pid = listen_port, balancer.pid
        with context.hosts.at("client"):
            return scenario.measure(context)


def show(progress):
    if sys.stderr.isatty():
        print(f"\r{progress:<70}\r", end="", file=sys.stderr, flush=True)


def run(chosen, balancers, arguments):
    results = []
    for scenario in chosen:
        if reason := scenario.missing():
            print(f"\n{scenario.name}: left out: {reason}", file=sys.stderr)
            continue
        taking_part = [peer for peer in balancers if peer.name != DIRECT or scenario.with_direct]
        for turn in range(arguments.rounds):
            first = turn % len(taking_part)
            for peer in taking_part[first:] + taking_part[:first]:
                show(f"{scenario.name} round {turn + 1}/{arguments.rounds} {peer.name}")
                result = {"scenario": scenario.name, "peer": peer.name, "round": turn}
                try:
                    result["metrics"] = measure_once(scenario, peer, arguments)
                except (RuntimeError, OSError) as error:
                    result["failed"] = str(error)
                    show("")
                    print(f"{scenario.name}, {peer.name}: {error}", file=sys.stderr)
                results.append(result)
        show("")
        print_scenario(scenario, [peer.name for peer in taking_part], results)
    return results


def values_of(results, scenario, peer, metric):
    return [r["metrics"][metric] for r in results
            if r["scenario"] == scenario and r["peer"] == peer and metric in r.get("metrics", {})]


def medians_of(results, scenario, metric):
    """By balancer, of those that have been measured."""
    names = dict.fromkeys(r["peer"] for r in results if r["scenario"] == scenario)
    values = {name: values_of(results, scenario, name, metric) for name in names}
    return {name: statistics.median(found) for name, found in values.items() if found}


def kept(out, key, part, chosen, about):
    """Of the entries in `out` under `key`, those whose `part` is not measured now. Figures of other versions do not go into
    one table."""
    before = json.loads(out.read_text())
    if before["versions"] != about["versions"]:
        raise RuntimeError(f"{out} is of other versions: measure everything anew")
    names = {one.name for one in chosen}
    return [entry for entry in before[key] if entry[part] not in names]


def best_of(medians, balancer, lower_is_better):
    """Of its variants."""
    variants = [median for name, median in medians.items() if name.startswith(balancer)]
    return (min if lower_is_better else max)(variants) if variants else None


def best_of_haproxy(medians, lower_is_better):
    return best_of(medians, "haproxy", lower_is_better)


def number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def markdown(chosen, found):
    """The table of the README: the first figure of each scenario, and the second of latencies."""
    versions = found["versions"]
    haproxy, nginx = version_of(versions["haproxy"]), version_of(versions["nginx"])
    lines = [f"| | Weir | HAProxy {haproxy} | told what is best for the row | nginx {nginx} | Weir ÷ HAProxy | ÷ the better one |",
             "|---|---|---|---|---|---|---|"]
    for scenario in chosen:
        for metric in scenario.metrics[:2] if scenario.name.startswith("latency") else scenario.metrics[:1]:
            medians = medians_of(found["results"], scenario.name, metric.name)
            best = best_of_haproxy(medians, metric.lower_is_better)
            if "weir" not in medians or best is None:
                continue
            told = next(name for name, median in medians.items() if name.startswith("haproxy") and median == best)
            values = [medians["weir"], medians.get("haproxy"), best, best_of(medians, "nginx", metric.lower_is_better)]
            cells = [f"{number(value)} {metric.unit}" if value is not None else "" for value in values]
            cells[2] = f"{cells[2]} ({told.removeprefix('haproxy-')})" if told != "haproxy" else ""
            of_cpu = metric.name.startswith("balancer_cpu") and not scenario.question.startswith("CPU")
            what = scenario.question + (", CPU of one" if of_cpu else f", {metric.name[:3]}" if metric.name[0] == "p" else "")
            ratios = [f"{values[0] / value:.2f}" if value else "" for value in values[1:3]]
            lines.append(f"| {what} | {' | '.join(cells)} | **{ratios[0]}** | {ratios[1]} |")
    return "\n".join(lines)


def version_of(said):
    return re.search(r"\d+(?:\.\d+)+(?:-dev\d+)?", said)[0]


def print_scenario(scenario, names, results):
    print(f"\n{scenario.name}: {scenario.question}")
    for metric in scenario.metrics:
        values = {name: values_of(results, scenario.name, name, metric.name) for name in names}
        print_metric(scenario, metric, {name: found for name, found in values.items() if found})
    sys.stdout.flush()


def print_metric(scenario, metric, values):
    medians = {name: statistics.median(found) for name, found in values.items()}
    best = best_of_haproxy(medians, metric.lower_is_better)
    print(f"  {metric.name} ({'less' if metric.lower_is_better else 'more'} is better)")
    for name, median in medians.items():
        spread = f"{number(min(values[name]))} .. {number(max(values[name]))}"
        notes = [f"{median / best:5.2f} × haproxy"] if best and name != DIRECT else []
        if DIRECT in medians and name != DIRECT:
            notes.append(f"adds {number(median - medians[DIRECT])} {metric.unit}")
        if metric.name == "gb_per_second" and median < 0.97 * scenario.pace_gb_per_second:
            notes.append("RATE NOT REACHED: its costs are not comparable")
        print(f"    {name:<16}{number(median):>10} {metric.unit:<5} {spread:>22}  {'   '.join(notes)}")
