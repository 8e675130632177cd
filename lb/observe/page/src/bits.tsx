// Small pieces that many places show.
import type { ComponentChildren } from "preact";
import type { Tone } from "./model";

/** Told apart by their shapes, too: not everybody sees the colours. */
const kShapes: Record<Tone, string> = {
  ok: "M8 3a5 5 0 1 1 0 10a5 5 0 1 1 0-10z",
  warn: "M8 2.5L14.5 13.5H1.5z",
  bad: "M3 3h10v10H3z",
  info: "M8 1.8L14.2 8L8 14.2L1.8 8z",
  mute: "M8 3a5 5 0 1 1 0 10a5 5 0 1 1 0-10zM8 5a3 3 0 1 0 0 6a3 3 0 1 0 0-6z",
};

export function Mark({ tone }: { tone: Tone }) {
  return (
    <svg class={`mark ${tone}`} viewBox="0 0 16 16" width="10" height="10" aria-hidden="true">
      <path d={kShapes[tone]} fill-rule="evenodd" />
    </svg>
  );
}

export function State({ tone, word, strong }: { tone: Tone; word: string; strong?: boolean }) {
  return (
    <span class={`state ${tone}${strong ? " strong" : ""}`}>
      <Mark tone={tone} />
      {word}
    </span>
  );
}

/** A part of something whole, as a bar behind the number that says it. */
export function Bar({ part, of }: { part: number; of: number }) {
  const width = of > 0 ? Math.min(100, (100 * part) / of) : 0;
  return (
    <span class="bar" aria-hidden="true">
      <span style={{ width: `${width}%` }} />
    </span>
  );
}

/** A small curve of what has just been; for the eye alone, beside numbers that say it. */
export function Spark({ values, failures, width = 132, height = 28, points = 120 }: {
  values: (number | null)[];
  failures?: (number | null)[];
  width?: number;
  height?: number;
  points?: number;
}) {
  const most = Math.max(1, ...values.map((v) => v ?? 0));
  const step = width / (points - 1);
  const begin = points - values.length;
  const x = (i: number) => ((begin + i) * step).toFixed(1);
  const y = (v: number) => (height - 2 - ((height - 5) * v) / most).toFixed(1);
  let line = "";
  let area = "";
  let open = -1;
  values.forEach((v, i) => {
    if (v !== null) {
      line += `${open < 0 ? "M" : "L"}${x(i)} ${y(v)}`;
      area += open < 0 ? `M${x(i)} ${height}L${x(i)} ${y(v)}` : `L${x(i)} ${y(v)}`;
      if (open < 0) open = i;
    }
    if (open >= 0 && (v === null || i + 1 === values.length)) {
      area += `L${x(v === null ? i - 1 : i)} ${height}Z`;
      open = -1;
    }
  });
  const ticks = (failures ?? []).map((n, i) => (n ? `M${x(i)} ${height}v-5` : "")).join("");
  return (
    <svg class="spark" viewBox={`0 0 ${width} ${height}`} width={width} height={height} preserveAspectRatio="none" aria-hidden="true">
      <path class="area" d={area} />
      <path class="line" d={line} />
      {ticks && <path class="ticks" d={ticks} />}
    </svg>
  );
}

export function Panel({ title, more, children, id }: {
  title: string;
  more?: ComponentChildren;
  children: ComponentChildren;
  id: string;
}) {
  return (
    <section class="panel" aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {more && <div class="more">{more}</div>}
      </header>
      {children}
    </section>
  );
}
