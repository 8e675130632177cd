// The charts of a pool or of a backend.
import { useMemo, useState } from "preact/hooks";
import type { WeirEvent } from "./api";
import { Panel } from "./bits";
import { Chart } from "./chart";
import { byteRate, count, millis, short } from "./format";
import { ended, kRangeSeconds, perSecond, useHistory, type Range } from "./history";
import { events, status } from "./live";
import { useStore } from "./store";

/** A daemon that has run for less than this has little to show of an hour. */
const kYoung = 1200; // s

export function Charts({ pool, backend = "" }: { pool: string; backend?: string }) {
  const { history, trouble } = useHistory(pool, backend);
  const uptime = useStore(status)?.uptime_seconds ?? 0;
  const [chosen, choose] = useState<Range | null>(null);
  const range = chosen ?? (uptime < kYoung ? "short" : "long");
  const all = useStore(events);
  const to = history?.time ?? 0;
  const from = to - kRangeSeconds[range];
  const marks = useMemo(() => {
    const inside = (event: WeirEvent) => {
      const time = Date.parse(event.time) / 1000;
      return time >= from && time <= to + 10;
    };
    const about = (event: WeirEvent) =>
      event.pool === ""
        ? event.kind !== "trouble"
        : event.pool === pool && (!backend || !event.backend || event.backend === backend);
    return all.filter((event) => about(event) && inside(event)).slice(0, 60);
  }, [all, from, to, pool, backend]);
  const drawn = useMemo(() => {
    if (!history) return null;
    const { steps, times } = ended(history, range);
    const step = steps.step_seconds;
    return {
      times,
      active: [{ label: "sessions", values: steps.active, colour: "--chart-1", fill: true }],
      fresh: [{ label: "new", values: perSecond(steps.sessions, step), colour: "--chart-1", fill: true }],
      bytes: [
        { label: "to client", values: perSecond(steps.bytes_to_client, step), colour: "--chart-1" },
        { label: "to backend", values: perSecond(steps.bytes_to_backend, step), colour: "--chart-2" },
      ],
      connect: [
        { label: "p50", values: steps.connect_p50_ms, colour: "--chart-1" },
        { label: "p99", values: steps.connect_p99_ms, colour: "--chart-2" },
      ],
      failures: [
        { label: "connects", values: steps.connect_failures, colour: "--chart-3", fill: true },
        { label: "cut off", values: steps.backend_resets, colour: "--chart-4" },
        { label: "probes", values: steps.probes_failed, colour: "--chart-2" },
        // No backend has had these.
        ...(backend ? [] : [{ label: "unserved", values: steps.unserved, colour: "--chart-1" }]),
      ],
    };
  }, [history, range, backend]);
  const choice = (value: Range, text: string) => (
    <button type="button" aria-pressed={range === value} onClick={() => choose(value)}>
      {text}
    </button>
  );
  const common = { from, to, marks };
  return (
    <Panel
      id="charts"
      title={range === "long" ? "The last hour" : "The last 10 minutes"}
      more={
        <div class="choice" role="group" aria-label="Time shown">
          {choice("short", "10 min")}
          {choice("long", "1 hour")}
        </div>
      }
    >
      {trouble && <p class="note">{trouble}</p>}
      {drawn && (
        <div class="charts">
          <Chart {...common} title="Sessions" times={drawn.times} lines={drawn.active} say={count} whole />
          <Chart {...common} title="New sessions/s" times={drawn.times} lines={drawn.fresh} say={short} />
          <Chart {...common} title="Bytes/s" times={drawn.times} lines={drawn.bytes} say={byteRate} />
          <Chart {...common} title="Time to connect" times={drawn.times} lines={drawn.connect} say={millis} />
          <Chart
            {...common}
            title={`Failures each ${range === "long" ? "minute" : "5 s"}`}
            times={drawn.times}
            lines={drawn.failures}
            say={count}
            whole
          />
        </div>
      )}
    </Panel>
  );
}
