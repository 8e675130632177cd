// What is wrong first; then who serves what.
import { useMemo } from "preact/hooks";
import type { History, Pool, Status } from "./api";
import { Bar, Mark, Panel, Spark, State } from "./bits";
import { BackendButtons } from "./actions";
import { EventList } from "./events";
import { age, byteRate, clock, count, millis, short, span } from "./format";
import { Grid, byMost, byText, type Column } from "./grid";
import { useHistory } from "./history";
import { events, status } from "./live";
import { held, problems, sums, verdict } from "./model";
import { backendLink, pageLink, poolLink } from "./route";
import { useNow, useStore } from "./store";

function Problems({ now }: { now: Status }) {
  const time = useNow();
  const list = problems(now);
  if (list.length === 0) {
    const all = now.pools.flatMap((pool) => pool.backends.filter((one) => !one.removed));
    const serving = all.filter((one) => one.eligible).length;
    return (
      <section class="problems fine" aria-label="Problems">
        <p>
          <Mark tone="ok" /> Nothing is wrong: {serving === all.length ? `all ${count(all.length)}` : `${count(serving)} of ${count(all.length)}`}{" "}
          backends of {now.pools.length === 1 ? "the pool" : `${count(now.pools.length)} pools`} may get new sessions.
        </p>
      </section>
    );
  }
  return (
    <section class={`problems${list.some((one) => one.tone === "bad") ? "" : " mild"}`} aria-label="Problems">
      <ul>
        {list.map((one, i) => (
          <li key={i} class={`${one.tone}${one.backend ? " of-pool" : ""}`}>
            <Mark tone={one.tone} />
            <span class="text">
              {one.pool && (
                <a href={one.backend ? backendLink(one.pool, one.backend) : poolLink(one.pool)}>
                  {one.backend ? `${one.pool}/${one.backend}` : one.pool}
                </a>
              )}{" "}
              {one.text}
            </span>
            {one.since && <span class="age">{age(one.since, time)}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Tile({ label, value, more, values, bar }: {
  label: string;
  value: string;
  more?: string;
  values?: (number | null)[] | undefined;
  bar?: { part: number; of: number };
}) {
  return (
    <div class="tile">
      <dt>{label}</dt>
      <dd>
        <span class="value">{value}</span>
        {more && <span class="more">{more}</span>}
      </dd>
      {bar ? <Bar {...bar} /> : null}
      {values && <Spark values={values} width={200} height={26} />}
    </div>
  );
}

function Tiles({ now, history }: { now: Status; history: History | null }) {
  const sum = sums(now.pools);
  const steps = history?.short;
  const failed = steps?.connect_failures.reduce<number>((all, n) => all + (n ?? 0), 0);
  return (
    <dl class="tiles">
      <Tile label="Sessions" value={count(now.sessions.active)} more={`of ${count(now.sessions.max)}`} values={steps?.active} />
      <Tile label="New a second" value={short(sum.perSecond)} more={`${count(now.sessions.total)} in all`} values={steps?.sessions} />
      <Tile label="To clients" value={byteRate(sum.toClient)} values={steps?.bytes_to_client} />
      <Tile label="To backends" value={byteRate(sum.toBackend)} values={steps?.bytes_to_backend} />
      <Tile label="Connect p99" value={millis(sum.p99)} more="of the slowest pool" values={steps?.connect_p99_ms} />
      <Tile label="Failed connects" value={count(failed ?? sum.failures)} more={failed === undefined ? "in all" : "in 10 min"} values={steps?.connect_failures} />
    </dl>
  );
}

interface PoolRow {
  pool: Pool;
  sum: ReturnType<typeof sums>;
  active: (number | null)[];
  failures: (number | null)[];
}

const byRank = (a: PoolRow, b: PoolRow) => verdict(a.pool).rank - verdict(b.pool).rank;
const kPoolColumns: Column<PoolRow>[] = [
  {
    key: "verdict",
    label: "Verdict",
    sort: byRank,
    show: ({ pool }) => {
      const how = verdict(pool);
      return <State tone={how.tone} word={how.word} strong={how.tone === "bad" || how.tone === "warn"} />;
    },
  },
  {
    key: "name",
    label: "Pool",
    sort: byText((row) => row.pool.name),
    show: ({ pool }) => (
      <a href={poolLink(pool.name)} title={pool.name}>
        {pool.name}
      </a>
    ),
  },
  { key: "up", label: "Backends", show: ({ pool }) => pool.up || "–" },
  {
    key: "spark",
    label: "Sessions, 10 min",
    show: ({ active, failures }) => <Spark values={active} failures={failures} />,
  },
  { key: "active", label: "Sessions", number: true, sort: byMost((row) => row.sum.active), show: ({ sum }) => count(sum.active) },
  { key: "new", label: "New/s", number: true, sort: byMost((row) => row.sum.perSecond), show: ({ sum }) => short(sum.perSecond) },
  { key: "client", label: "To clients", number: true, sort: byMost((row) => row.sum.toClient), show: ({ sum }) => byteRate(sum.toClient) },
  { key: "backend", label: "To backends", number: true, sort: byMost((row) => row.sum.toBackend), show: ({ sum }) => byteRate(sum.toBackend) },
  {
    key: "p99",
    label: "Connect p99",
    number: true,
    sort: byMost((row) => row.pool.connect_ms?.p99 ?? -1),
    show: ({ pool }) => millis(pool.connect_ms?.p99),
  },
  { key: "failed", label: "Failed", title: "Failed connects", number: true, sort: byMost((row) => row.sum.failures), show: ({ sum }) => count(sum.failures) },
];

function Pools({ now, history }: { now: Status; history: History | null }) {
  const rows = useMemo(() => {
    const kept = new Map(history?.pools?.map((pool) => [pool.name, pool.short]));
    return now.pools.map((pool) => ({
      pool,
      sum: sums([pool]),
      active: kept.get(pool.name)?.active ?? [],
      failures: kept.get(pool.name)?.connect_failures ?? [],
    }));
  }, [now, history]);
  return (
    <Panel id="pools" title="Pools">
      <Grid label="Pools" kind="pools" columns={kPoolColumns} rows={rows} id={(row) => row.pool.name} order={byRank} empty="No pool." />
    </Panel>
  );
}

const kMostHeld = 12;
function Held({ now }: { now: Status }) {
  const time = useNow();
  const list = held(now);
  if (list.length === 0) return null;
  return (
    <Panel id="held" title="Set by hand">
      <ul class="held">
        {list.slice(0, kMostHeld).map(({ pool, backend }) => {
          const word = backend.admin !== "enabled" ? backend.admin_word : backend.weight_word;
          const what =
            backend.admin !== "enabled" ? backend.admin : `weight ${backend.weight} for ${backend.configured_weight}`;
          return (
            <li key={`${pool.name}/${backend.name}`}>
              <span class="text">
                <State tone="info" word={what} /> <a href={backendLink(pool.name, backend.name)}>{`${pool.name}/${backend.name}`}</a>{" "}
                <span class="hint">
                  {word ? `by ${word.by || "an operator"}` : "by the file"}
                  {word?.since && ` for ${age(word.since, time)}`}
                  {word?.until && `, until ${clock(Date.parse(word.until), false)}`}
                  {backend.admin !== "enabled" && `, ${count(backend.active)} left`}
                  {word?.comment && `: ${word.comment}`}
                </span>
              </span>
              <BackendButtons pool={pool.name} backend={backend} only />
            </li>
          );
        })}
      </ul>
      {list.length > kMostHeld && <p class="note">and {count(list.length - kMostHeld)} more</p>}
    </Panel>
  );
}

function Listeners({ now }: { now: Status }) {
  return (
    <Panel id="listeners" title="Listeners">
      <ul class="listeners">
        {now.listeners.map((one) => {
          const refused = Object.entries(one.turned_away);
          return (
            <li key={one.name}>
              <b>{one.name}</b> <span class="hint">{one.bind.join(", ")}</span>
              <span class="numbers">
                {count(one.active)}
                {one.max_connections > 0 && ` of ${count(one.max_connections)}`} now, {count(one.total)} in all
                {refused.map(([word, n]) => `, ${word} ${count(n)}`)}
              </span>
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}

export function Overview() {
  const now = useStore(status)!;
  const { history } = useHistory();
  const all = useStore(events);
  return (
    <>
      <h1 tabIndex={-1} class="unseen">
        Overview
      </h1>
      <Problems now={now} />
      <Tiles now={now} history={history} />
      <div class="columns">
        <div>
          <Pools now={now} history={history} />
          <Listeners now={now} />
        </div>
        <div>
          <Held now={now} />
          <Panel id="events" title="Events" more={<a href={pageLink("events")}>All events</a>}>
            <EventList list={all.slice(0, 14)} />
          </Panel>
          <p class="hint foot">
            Weir {now.version}, process {now.pid}, {now.workers === 1 ? "1 worker" : `${now.workers} workers`}, up for{" "}
            {span(now.uptime_seconds)}, configuration {now.generation}
            {now.last_reload && `, last reload at ${clock(Date.parse(now.last_reload.time))}`}
          </p>
        </div>
      </div>
    </>
  );
}
