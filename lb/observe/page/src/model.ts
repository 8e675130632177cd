// What an operator wants to know of what the status says: pure.
import type { Backend, Pool, Status, Verdict, WeirEvent } from "./api";
import { count, plural } from "./format";

export type Tone = "ok" | "warn" | "bad" | "info" | "mute";

export interface Standing {
  word: string;
  tone: Tone;
  /** The worst first. */
  rank: number;
}

export function standing(backend: Backend): Standing {
  if (backend.removed) return { word: "leaving", tone: "mute", rank: 6 };
  if (backend.admin === "disabled") return { word: "disabled", tone: "info", rank: 5 };
  if (backend.admin === "drained") return { word: "drained", tone: "info", rank: 4 };
  if (backend.health === "down")
    return backend.eligible
      ? { word: "down, used", tone: "bad", rank: 1 }
      : { word: "down", tone: "bad", rank: 0 };
  if (backend.health === "unknown") return { word: "unknown", tone: "warn", rank: 2 };
  if (!backend.eligible) return { word: "out", tone: "warn", rank: 3 };
  return { word: backend.backup ? "up, backup" : "up", tone: "ok", rank: 7 };
}

const kVerdicts: Record<Verdict, Standing> = {
  down: { word: "down", tone: "bad", rank: 0 },
  "backup in use": { word: "backup in use", tone: "warn", rank: 1 },
  degraded: { word: "degraded", tone: "warn", rank: 2 },
  unknown: { word: "unknown", tone: "mute", rank: 3 },
  ok: { word: "ok", tone: "ok", rank: 4 },
};
export function verdict(pool: Pool): Standing {
  if (pool.removed || !pool.verdict) return { word: "leaving", tone: "mute", rank: 5 };
  return kVerdicts[pool.verdict] ?? { word: pool.verdict, tone: "warn", rank: 2 };
}

export interface Sums {
  active: number;
  perSecond: number;
  toBackend: number;
  toClient: number;
  failures: number;
  p99: number | null;
}
export function sums(pools: Pool[]): Sums {
  const out: Sums = { active: 0, perSecond: 0, toBackend: 0, toClient: 0, failures: 0, p99: null };
  for (const pool of pools) {
    for (const one of pool.backends) {
      out.active += one.active;
      out.perSecond += one.sessions_per_second ?? 0;
      out.toBackend += one.bytes_to_backend_per_second ?? 0;
      out.toClient += one.bytes_to_client_per_second ?? 0;
      out.failures += one.connect_failures;
    }
    if (pool.connect_ms) out.p99 = Math.max(out.p99 ?? 0, pool.connect_ms.p99);
  }
  return out;
}

/** Who would get this backend's new sessions: the others that are eligible, backups only when no primary is. */
export function others(pool: Pool, backend: Backend): Backend[] {
  const eligible = pool.backends.filter((one) => one.eligible && one.name !== backend.name);
  const primaries = eligible.filter((one) => !one.backup);
  return primaries.length > 0 ? primaries : eligible;
}

/** Its part of the pool's new sessions in percent, by weights; null where weights decide nothing, or it gets none. */
export function share(pool: Pool, backend: Backend, weight = backend.weight): number | null {
  if (pool.balance === "first" || !backend.eligible) return null;
  const rivals = others(pool, backend).filter((one) => one.backup === backend.backup);
  const of = (w: number, one: Backend) => (w * one.share_percent) / 100;
  const rest = rivals.reduce((sum, one) => sum + of(one.weight, one), 0);
  const own = of(weight, backend);
  return own + rest > 0 ? (100 * own) / (own + rest) : null;
}

export interface Problem {
  tone: Tone;
  /** What has the trouble; a pool or a backend is linked. */
  pool?: string;
  backend?: string;
  text: string;
  since?: string;
}

const kMostOfAPool = 4;
const kNearLimit = 0.9;

export function problems(now: Status): Problem[] {
  const out: Problem[] = [];
  for (const text of now.problems)
    if (!/^pool \S+: (down|degraded|backup in use), /.test(text)) out.push({ tone: "bad", text });
  const { active, max } = now.sessions;
  if (max > 0 && active >= kNearLimit * max)
    out.push({ tone: active >= max ? "bad" : "warn", text: `${plural(active, "session")} of ${count(max)} that fit: at the limit clients wait in the kernel's queue` });
  for (const pool of [...now.pools].sort((a, b) => verdict(a).rank - verdict(b).rank)) {
    const how = verdict(pool);
    if (pool.removed || how.rank >= 3) continue;
    out.push({ tone: how.tone, pool: pool.name, text: `${how.word}: ${pool.up ?? ""}`, ...(pool.verdict_since && { since: pool.verdict_since }) });
    const failing = pool.backends.filter((one) => standing(one).rank <= 3);
    for (const one of failing.slice(0, kMostOfAPool))
      out.push({ tone: standing(one).tone, pool: pool.name, backend: one.name, text: `${standing(one).word}: ${one.reason}`, since: one.since });
    if (failing.length > kMostOfAPool)
      out.push({ tone: "mute", pool: pool.name, text: `and ${failing.length - kMostOfAPool} more that do not serve` });
  }
  for (const pool of now.pools)
    if ((pool.queued ?? 0) > 0)
      out.push({ tone: "warn", pool: pool.name, text: `${plural(pool.queued ?? 0, "session waits", "sessions wait")} for a backend that is full` });
  return out;
}

/** Backends that somebody has taken out or weighted: what is easily forgotten. */
export interface Held {
  pool: Pool;
  backend: Backend;
}
export function held(now: Status): Held[] {
  return now.pools.flatMap((pool) =>
    pool.backends
      .filter((one) => !one.removed && (one.admin !== "enabled" || one.weight_word))
      .map((backend) => ({ pool, backend })),
  );
}

export function eventTone(event: WeirEvent): Tone {
  if (event.kind === "trouble") return "bad";
  if (event.kind === "word" || event.kind === "member") return "info";
  if (event.kind === "health" || event.kind === "verdict") {
    const now = event.text.split(/→|:/)[event.text.includes("→") ? 1 : 0] ?? "";
    if (/down/.test(now)) return "bad";
    if (/degraded|backup|unknown/.test(now)) return "warn";
    return "ok";
  }
  if (/refused|failed/.test(event.text)) return "bad";
  return "mute";
}

export function findPool(now: Status | null, name: string): Pool | undefined {
  return now?.pools.find((pool) => pool.name === name);
}
