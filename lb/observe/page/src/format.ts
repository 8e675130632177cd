// Numbers, bytes and times as an operator reads them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const kNone = "–";

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? kNone : whole.format(value);
}

/** Three digits that matter: 0.42, 4.2, 42, 4,200. */
export function short(value: number): string {
  if (value === 0) return "0";
  if (value < 0.005) return "<0.01";
  if (value < 0.995) return String(Number(value.toFixed(2)));
  if (value < 9.95) return String(Number(value.toFixed(1)));
  return whole.format(value);
}

const kUnits = ["B", "kB", "MB", "GB", "TB", "PB"];
export function bytes(value: number): string {
  let unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.length) {
    value /= 1000;
    ++unit;
  }
  return `${short(value)} ${kUnits[unit]}`;
}
export function byteRate(value: number): string {
  return value === 0 ? "0" : `${bytes(value)}/s`;
}

export function millis(value: number | null | undefined): string {
  if (value === null || value === undefined) return kNone;
  return value >= 1000 ? `${short(value / 1000)} s` : `${short(value)} ms`;
}

export function percent(value: number): string {
  return value > 0 && value < 1 ? "<1 %" : `${Math.round(value)} %`;
}

/** "8 s", "3 min", "2 h 5 min", "4 d". */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return m < 10 && s % 60 ? `${m} min ${s % 60} s` : `${m} min`;
  const h = Math.floor(m / 60);
  if (h < 24) return m % 60 ? `${h} h ${m % 60} min` : `${h} h`;
  const d = Math.floor(h / 24);
  return d < 10 && h % 24 ? `${d} d ${h % 24} h` : `${d} d`;
}

export function age(since: string | null | undefined, now: number): string {
  const time = since ? Date.parse(since) : NaN;
  return Number.isNaN(time) ? kNone : span((now - time) / 1000);
}

const two = (n: number) => String(n).padStart(2, "0");
export function clock(ms: number, withSeconds = true): string {
  const t = new Date(ms);
  return `${two(t.getHours())}:${two(t.getMinutes())}` + (withSeconds ? `:${two(t.getSeconds())}` : "");
}
/** The time of day; with the day when that is another. */
export function moment(text: string, now: number): string {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) return text;
  const day = new Date(ms);
  const same = day.toDateString() === new Date(now).toDateString();
  return same ? clock(ms) : `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())} ${clock(ms)}`;
}

export function plural(n: number, one: string, many = one + "s"): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
