"""Charts, drawn by gnuplot from the results."""

import subprocess

from .compare import best_of_haproxy, medians_of, number

# Weir in blue, HAProxy in orange, nginx in green, whatever the chart: distinct for the colour-blind too (Okabe, Ito).
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999"]
HIGHEST = 3  # of a bar; a taller one is cut, and its label tells
SHOWN = ("weir", "nginx", "nginx-64k")
NAMES = {"balancer_cpu_us": "CPU", "balancer_cpu_s_per_gb": "CPU", "per_second": "rate",
         "gb_per_second": "throughput", "p50_us": "median", "p99_us": "p99", "bytes_per_session": "memory"}


def gnuplot(script):
    done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"gnuplot: {done.stderr.strip()}")


def quoted(text):
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def block(name, rows):
    return f"${name} << EOD\n" + "\n".join(" ".join(map(str, row)) for row in rows) + "\nEOD\n"


def ratio_rows(scenarios, results, lower_is_better):
    """A row for each figure: its label with unit and HAProxy's value, then each balancer's ratio to that."""
    rows = []
    for scenario in scenarios:
        for metric in scenario.metrics:
            if metric.lower_is_better != lower_is_better or metric.name not in NAMES:
                continue
            medians = medians_of(results, scenario.name, metric.name)
            best = best_of_haproxy(medians, lower_is_better)
            if not best or "weir" not in medians:
                continue
            ratios = [f"{medians[name] / best:.3f}" if name in medians else "NaN" for name in SHOWN]
            label = f"{scenario.name}, {NAMES[metric.name]} (1 = {number(best)} {metric.unit})"
            rows.append([quoted(label), *ratios])
    return rows


def bars(name, rows, title, axis):
    highest = min(HIGHEST, max(float(value) for row in rows for value in row[1:] if value != "NaN"))
    plots = ", ".join(
        f'${name} using (cut(${column + 2})):xtic(1) title {quoted(shown)} linecolor rgb '
        f'"{COLOURS[(0, 2, 4)[column]]}", '
        f'${name} using ($0+{(column - 1) * 0.25:.2f}):(cut(${column + 2})+{highest * 0.02:.3f}):'
        f'(sprintf("%.2f", ${column + 2})) with labels rotate left font ",8" notitle'
        for column, shown in enumerate(SHOWN) if any(row[column + 1] != "NaN" for row in rows))
    return f"""cut(y) = y > {highest} ? {highest} : y
set title {quoted(title)}
set ylabel {quoted(axis)}
set yrange [0:{highest * 1.15:.3f}]
set xrange [-0.6:{len(rows) - 0.4}]
plot {plots}, 1 linecolor rgb "{COLOURS[1]}" linewidth 2 title "haproxy, its better variant = 1"
"""


def draw_comparison(scenarios, found, path):
    """Ratios to HAProxy's better variant: costs in the upper part, rates in the lower."""
    costs = ratio_rows(scenarios, found["results"], True)
    rates = ratio_rows(scenarios, found["results"], False)
    parts = [part for part in ((costs, "c", "Costs: less is better"), (rates, "r", "Rates: more is better")) if part[0]]
    if not parts:
        raise RuntimeError("nothing to draw: the results have no figures of both Weir and HAProxy")
    width = max(900, 46 * max(len(rows) for rows, _, _ in parts))
    versions = found["versions"]
    script = "".join(block(name, rows) for rows, name, _ in parts)
    script += f"""set terminal svg size {width},{520 * len(parts)} font "sans,11" background "#ffffff"
set output {quoted(path)}
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 noborder
set xtics rotate by -50 left font ",9" noenhanced
set grid ytics
set key top right outside horizontal
set bmargin 15
set rmargin 14
set multiplot layout {len(parts)},1
"""
    where = f"{versions.get('cpu', '?')}, kernel {versions['kernel']}, {found['rounds']} rounds of {found['seconds']:g} s"
    for rows, name, title in parts:
        script += bars(name, rows, f"{title} ({where})", "ratio to HAProxy's better variant")
    gnuplot(script + "unset multiplot\n")


def draw_lines(path, title, x, y, lines, log_x=False, log_y=False):
    """`lines`: the points (x, y) of each name. Every name's colour is its place in the order."""
    drawn = {name: points for name, points in lines.items() if points}
    if not drawn:
        raise RuntimeError(f"nothing to draw for {title}")
    script = "".join(block(f"d{i}", points) for i, points in enumerate(drawn.values()))
    script += f"""set terminal svg size 900,520 font "sans,12" background "#ffffff"
set output {quoted(path)}
set title {quoted(title)} noenhanced
set xlabel {quoted(x)}
set ylabel {quoted(y)}
set grid
set key left top
{'set logscale x' if log_x else 'set xrange [0:*]'}
{'set logscale y' if log_y else 'set yrange [0:*]'}
plot """
    script += ", ".join(f'$d{i} using 1:2 with linespoints linewidth 2 pointtype {4 + i} linecolor rgb '
                        f'"{COLOURS[i % len(COLOURS)]}" title {quoted(name)} noenhanced'
                        for i, name in enumerate(drawn))
    gnuplot(script + "\n")
