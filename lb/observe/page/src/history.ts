// The last hour, as the daemon keeps it.
import { useEffect, useState } from "preact/hooks";
import { ApiError, type History, type Steps, get, path } from "./api";
import { link } from "./live";
import { useStore } from "./store";

export type Range = "short" | "long";
export const kRangeSeconds: Record<Range, number> = { short: 600, long: 3600 };

const kEvery = 5000; // ms: the daemon's own step

export interface Kept {
  history: History | null;
  /** Why there is none; "" = there is, or it is on its way. */
  trouble: string;
}

/** Of all, of a pool, or of a backend; read again with each of the daemon's steps. */
export function useHistory(pool = "", backend = ""): Kept {
  const [kept, setKept] = useState<Kept>({ history: null, trouble: "" });
  const live = useStore(link).state === "live";
  useEffect(() => setKept({ history: null, trouble: "" }), [pool, backend]);
  useEffect(() => {
    if (!live) return undefined;
    let wanted = true;
    const read = async () => {
      if (document.hidden) return;
      try {
        const history = await get<History>(path("history"), { pool, backend });
        if (wanted) setKept({ history, trouble: "" });
      } catch (error) {
        const known = error instanceof ApiError && error.status !== 0;
        if (wanted && known) setKept((old) => ({ ...old, trouble: (error as ApiError).message }));
      }
    };
    void read();
    const timer = setInterval(read, kEvery);
    return () => {
      wanted = false;
      clearInterval(timer);
    };
  }, [pool, backend, live]);
  return kept;
}

/** When each step ended, in seconds; of the last, when it was looked at. */
function times(history: History, steps: Steps): number[] {
  const n = steps.active.length;
  return steps.active.map((_, i) => history.time - (n - 1 - i) * steps.step_seconds);
}

/** Without the minute that is under way: half of it would look like a fall. Alone it stays. */
export function ended(history: History, range: Range): { steps: Steps; times: number[] } {
  const steps = history[range];
  const at = times(history, steps);
  if (range === "short" || at.length < 2) return { steps, times: at };
  const cut = Object.fromEntries(
    Object.entries(steps).map(([name, value]) => [name, Array.isArray(value) ? value.slice(0, -1) : value]),
  );
  return { steps: cut as unknown as Steps, times: at.slice(0, -1) };
}

/** Of counts in steps, how many a second. */
export function perSecond(values: (number | null)[], step: number): (number | null)[] {
  return values.map((v) => (v === null ? null : v / step));
}
