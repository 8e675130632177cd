// The backends of a pool as a table.
import { useMemo, useState } from "preact/hooks";
import { BackendButtons } from "./actions";
import { token } from "./acting";
import type { Backend, Pool } from "./api";
import { Bar, Panel, State } from "./bits";
import { age, byteRate, clock, count, millis, short } from "./format";
import { Grid, byMost, byText, type Column } from "./grid";
import { standing } from "./model";
import { backendLink } from "./route";
import { useNow, useStore } from "./store";

const byRank = (a: Backend, b: Backend) => standing(a).rank - standing(b).rank;

/** The file's weight, and what is made of it. */
export function weightText(one: Backend): string {
  const said = one.weight === one.configured_weight ? String(one.weight) : `${one.weight} (${one.configured_weight})`;
  return one.share_percent === 100 ? said : `${said} · ${one.share_percent} %`;
}

export function why(one: Backend): string {
  if (one.removed || one.admin === "enabled") return one.reason;
  const word = one.admin_word;
  const by = word ? `by ${word.by || "an operator"}` : "by the file";
  const closes = one.closes_at ? `, closes at ${clock(Date.parse(one.closes_at))}` : "";
  return `${one.admin} ${by}${word?.comment ? ` (${word.comment})` : ""}${closes}; ${one.health}: ${one.reason}`;
}

const sinceOf = (one: Backend) => (one.admin !== "enabled" ? one.admin_since : one.since);

function columns(pool: string, most: number, now: number, acts: boolean): Column<Backend>[] {
  const out: Column<Backend>[] = [
    {
      key: "state",
      label: "State",
      sort: byRank,
      show: (one) => {
        const how = standing(one);
        return <State tone={how.tone} word={how.word} strong={how.tone === "bad"} />;
      },
    },
    {
      key: "name",
      label: "Backend",
      sort: byText((one) => one.name),
      show: (one) => (
        <a href={backendLink(pool, one.name)} title={one.name}>
          {one.name}
        </a>
      ),
    },
    { key: "address", label: "Address", sort: byText((one) => one.address), show: (one) => <span title={one.address}>{one.address}</span> },
    { key: "weight", label: "Weight", number: true, sort: byMost((one) => one.weight), show: weightText },
    {
      key: "active",
      label: "Sessions",
      number: true,
      sort: byMost((one) => one.active),
      show: (one) => (
        <>
          <Bar part={one.active} of={one.max_sessions || most} />
          {count(one.active)}
          {one.max_sessions > 0 && <span class="hint">/{count(one.max_sessions)}</span>}
        </>
      ),
    },
    { key: "new", label: "New/s", title: "New sessions a second", number: true, sort: byMost((one) => one.sessions_per_second ?? 0), show: (one) => short(one.sessions_per_second ?? 0) },
    { key: "client", label: "To clients", number: true, sort: byMost((one) => one.bytes_to_client_per_second ?? 0), show: (one) => byteRate(one.bytes_to_client_per_second ?? 0) },
    { key: "backend", label: "To backend", number: true, sort: byMost((one) => one.bytes_to_backend_per_second ?? 0), show: (one) => byteRate(one.bytes_to_backend_per_second ?? 0) },
    { key: "p99", label: "p99", title: "Time to connect: of 100, 99 are faster", number: true, sort: byMost((one) => one.connect_ms?.p99 ?? -1), show: (one) => millis(one.connect_ms?.p99) },
    { key: "failed", label: "Failed", title: "Failed connects", number: true, sort: byMost((one) => one.connect_failures), show: (one) => count(one.connect_failures) },
    {
      key: "why",
      label: "Why",
      show: (one) => (
        <span title={why(one)}>
          <span class="age">{age(sinceOf(one), now)}</span> {why(one)}
        </span>
      ),
    },
  ];
  if (acts) out.push({ key: "acts", label: "Change", show: (one) => <BackendButtons pool={pool} backend={one} /> });
  return out;
}

type Choice = "all" | "out" | "busy";
export function Backends({ pool }: { pool: Pool }) {
  const now = useNow();
  const acts = useStore(token) !== "";
  const [text, setText] = useState("");
  const [choice, setChoice] = useState<Choice>("all");
  const rows = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    return pool.backends.filter(
      (one) =>
        (choice === "all" || (choice === "out" ? !one.eligible : one.active > 0)) &&
        (!wanted || `${one.name} ${one.address} ${standing(one).word}`.toLowerCase().includes(wanted)),
    );
  }, [pool, text, choice]);
  const most = Math.max(1, ...pool.backends.map((one) => one.active));
  const shown = useMemo(() => columns(pool.name, most, now, acts), [pool.name, most, now, acts]);
  const pick = (value: Choice, label: string) => (
    <button type="button" aria-pressed={choice === value} onClick={() => setChoice(value)}>
      {label}
    </button>
  );
  return (
    <Panel
      id="backends"
      title={rows.length === pool.backends.length ? `${count(rows.length)} backends` : `${count(rows.length)} of ${count(pool.backends.length)} backends`}
      more={
        <>
          <div class="choice" role="group" aria-label="Which backends">
            {pick("all", "All")}
            {pick("out", "Not serving")}
            {pick("busy", "With sessions")}
          </div>
          <input type="search" data-filter aria-label="Filter backends" placeholder="Filter  /" value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </>
      }
    >
      <Grid
        label={`Backends of ${pool.name}`}
        kind={acts ? "backends acting" : "backends"}
        columns={shown}
        rows={rows}
        id={(one) => `${one.name} ${one.address}`}
        order={byRank}
        empty="None."
        tone={(one) => (standing(one).tone === "ok" ? "" : `of-${standing(one).tone}`)}
      />
    </Panel>
  );
}
