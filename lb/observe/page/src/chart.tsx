// A chart over time, with events as marks. uPlot draws; colours are those of the style sheet.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import type { WeirEvent } from "./api";
import { clock } from "./format";
import { eventTone, type Tone } from "./model";
import { useMedia } from "./store";

export interface Line {
  label: string;
  values: (number | null)[];
  /** One of --chart-1 … */
  colour: string;
  fill?: boolean;
}

export interface ChartProps {
  title: string;
  times: number[]; // seconds
  from: number;
  to: number;
  lines: Line[];
  say: (value: number) => string;
  /** Values are whole: so are the axis' marks. */
  whole?: boolean;
  marks: WeirEvent[];
}

const kHeight = 148;
const kToneColour: Record<Tone, string> = {
  ok: "--ok",
  warn: "--warn",
  bad: "--bad",
  info: "--info",
  mute: "--mute",
};

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The end of the axis: a round number above all values. */
function ceiling(most: number, whole: boolean): number {
  if (!(most > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(most));
  const round = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((n) => n * unit >= most)! * unit;
  return whole ? Math.max(1, Math.ceil(round)) : round;
}

function drawMarks(u: uPlot, marks: WeirEvent[]): void {
  const { ctx } = u;
  const scale = devicePixelRatio;
  ctx.save();
  for (const event of marks) {
    const x = Math.round(u.valToPos(Date.parse(event.time) / 1000, "x", true));
    if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
    ctx.strokeStyle = ctx.fillStyle = colour(kToneColour[eventTone(event)]);
    ctx.globalAlpha = 0.45;
    ctx.lineWidth = scale;
    ctx.setLineDash([2 * scale, 2 * scale]);
    ctx.beginPath();
    ctx.moveTo(x, u.bbox.top);
    ctx.lineTo(x, u.bbox.top + u.bbox.height);
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.beginPath();
    ctx.moveTo(x - 4 * scale, u.bbox.top - 6 * scale);
    ctx.lineTo(x + 4 * scale, u.bbox.top - 6 * scale);
    ctx.lineTo(x, u.bbox.top);
    ctx.fill();
  }
  ctx.restore();
}

/** Which values stand alone: no line leads to them. */
function alone(u: uPlot, series: number): number[] {
  const values = u.data[series]!;
  const is = (i: number) => values[i] !== null && values[i] !== undefined;
  return Array.from(values.keys()).filter((i) => is(i) && !is(i - 1) && !is(i + 1));
}

function nearest(marks: WeirEvent[], u: uPlot, left: number): WeirEvent | null {
  let best: WeirEvent | null = null;
  let distance = 7;
  for (const event of marks) {
    const d = Math.abs(u.valToPos(Date.parse(event.time) / 1000, "x") - left);
    if (d < distance) [best, distance] = [event, d];
  }
  return best;
}

export function describe(event: WeirEvent): string {
  const what = event.backend ? `${event.pool}/${event.backend} ` : event.pool ? `${event.pool} ` : "";
  return `${what}${event.text}${event.by ? `, by ${event.by}` : ""}`;
}

interface Hover {
  index: number;
  event: WeirEvent | null;
}

export function Chart(props: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const now = useRef(props);
  now.current = props;
  const [hover, setHover] = useState<Hover | null>(null);
  const dark = useMedia("(prefers-color-scheme: dark)");
  const names = props.lines.map((line) => line.label).join();

  useEffect(() => {
    const at = place.current!;
    const axis = {
      stroke: () => colour("--mute"),
      font: `11px ${getComputedStyle(document.body).fontFamily}`,
    };
    const options: uPlot.Options = {
      width: Math.max(120, at.clientWidth),
      height: kHeight,
      padding: [10, 16, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: "weir", setSeries: false },
        y: false,
        drag: { x: false, y: false },
        points: { size: 6, width: 1.5 },
      },
      scales: {
        x: { time: true, range: () => [now.current.from, now.current.to] },
        y: { range: (_u, _min, max) => [0, ceiling(max ?? 0, now.current.whole ?? false)] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          ticks: { stroke: () => colour("--line-strong"), size: 4, width: 1 },
          size: 24,
          space: 56,
          values: (_u, at) => at.map((t) => clock(t * 1000, false)),
        },
        {
          ...axis,
          grid: { stroke: () => colour("--grid"), width: 1 },
          ticks: { show: false },
          size: 62,
          gap: 4,
          splits: (_u, _i, min, max) => {
            const halves = !now.current.whole || max % 2 === 0;
            return halves ? [min, max / 2, max] : [min, max];
          },
          values: (_u, at) => at.map((v) => now.current.say(v)),
        },
      ],
      series: [
        {},
        ...now.current.lines.map((line) => ({
          label: line.label,
          stroke: () => colour(line.colour),
          width: 1.5,
          spanGaps: false,
          points: { show: true, size: 4, width: 0, fill: () => colour(line.colour), filter: alone },
          ...(line.fill && { fill: () => colour(`${line.colour}-soft`) }),
        })),
      ],
      hooks: {
        draw: [(u) => drawMarks(u, now.current.marks)],
        setCursor: [
          (u) => {
            const { idx, left } = u.cursor;
            if (idx === null || idx === undefined || left === undefined || left < 0) return setHover(null);
            setHover({ index: idx, event: nearest(now.current.marks, u, left) });
          },
        ],
      },
    };
    const data = [now.current.times, ...now.current.lines.map((line) => line.values)] as uPlot.AlignedData;
    const made = new uPlot(options, data, at);
    plot.current = made;
    const watch = new ResizeObserver(() => {
      if (at.clientWidth > 0) made.setSize({ width: at.clientWidth, height: kHeight });
    });
    watch.observe(at);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [dark, names]);

  useEffect(() => {
    plot.current?.setData([props.times, ...props.lines.map((line) => line.values)] as uPlot.AlignedData);
  }, [props.times, props.lines, props.marks, props.from, props.to]);

  const index = hover?.index ?? props.times.length - 1;
  const value = (line: Line, at: number) => {
    const v = line.values[at];
    return v === null || v === undefined ? "–" : props.say(v);
  };
  const most = (line: Line) => props.say(Math.max(0, ...line.values.map((v) => v ?? 0)));
  const last = props.times.length - 1;
  const words = props.lines.map((line) => `${line.label}: now ${value(line, last)}, most ${most(line)}`).join("; ");
  const time = props.times[index];
  return (
    <figure class="chart">
      <figcaption>
        <span class="title">{props.title}</span>
        <span class="legend" aria-hidden="true">
          {hover && time !== undefined && <span class="at">{clock(time * 1000)}</span>}
          {props.lines.map((line) => (
            <span key={line.label}>
              <i class={line.colour.slice(2)} />
              {props.lines.length > 1 && `${line.label} `}
              <b>{value(line, index)}</b>
            </span>
          ))}
        </span>
      </figcaption>
      <div class="plot" ref={place} role="img" aria-label={`${props.title}. ${words}.`} />
      {hover?.event && (
        <div class="said">
          <span class={`state ${eventTone(hover.event)}`}>{clock(Date.parse(hover.event.time))}</span>{" "}
          {describe(hover.event)}
        </div>
      )}
    </figure>
  );
}
