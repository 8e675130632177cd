// A pool's page, and a backend's.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { BackendButtons } from "./actions";
import { begin, token } from "./acting";
import { type Backend, type Pool, type Session, get, path } from "./api";
import { Backends, weightText, why } from "./backends";
import { Panel, State } from "./bits";
import { Charts } from "./charts";
import { EventList } from "./events";
import { age, byteRate, bytes, count, millis, percent, short, span } from "./format";
import { events, status } from "./live";
import { findPool, share, standing, sums, verdict } from "./model";
import { pageLink, poolLink } from "./route";
import { useNow, useStore } from "./store";

const kMostCounted = 10_000;
const kEvery = 5000; // ms

/** Where sessions stand: connecting, relaying …; who may see sessions sees it. */
function States({ pool, backend = "" }: { pool: string; backend?: string }) {
  const secret = useStore(token);
  const [states, setStates] = useState<[string, number][]>([]);
  useEffect(() => {
    if (!secret) return undefined;
    let wanted = true;
    const look = async () => {
      if (document.hidden) return;
      try {
        const values = { pool, limit: kMostCounted, ...(backend && { backend }) };
        const { sessions } = await get<{ sessions: Session[] }>(path("sessions"), values, secret);
        const found = new Map<string, number>();
        for (const one of sessions) found.set(one.state, (found.get(one.state) ?? 0) + 1);
        if (wanted) setStates([...found].sort((a, b) => b[1] - a[1]));
      } catch {
        if (wanted) setStates([]);
      }
    };
    void look();
    const timer = setInterval(look, kEvery);
    return () => {
      wanted = false;
      clearInterval(timer);
    };
  }, [pool, backend, secret]);
  if (!secret || states.length === 0) return null;
  const all = states.reduce((sum, [, n]) => sum + n, 0);
  return (
    <div class="states">
      <span class="label">Where sessions stand</span>
      <span class="stack" aria-hidden="true">
        {states.map(([word, n]) => (
          <i key={word} class={word} style={{ width: `${(100 * n) / all}%` }} />
        ))}
      </span>
      <span class="words">
        {states.map(([word, n]) => (
          <span key={word}>
            <i class={word} aria-hidden="true" />
            {word.replace("_", " ")} <b>{count(n)}</b>
          </span>
        ))}
      </span>
    </div>
  );
}

function Fact({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Gone({ what }: { what: string }) {
  return (
    <>
      <h1 tabIndex={-1}>{what}</h1>
      <p class="note">
        There is no such {what.includes("/") ? "backend" : "pool"} (any more). <a href="#/">Overview</a>
      </p>
    </>
  );
}

function PoolHead({ pool }: { pool: Pool }) {
  const now = useNow();
  const how = verdict(pool);
  const sum = sums([pool]);
  return (
    <header class="top">
      <h1 tabIndex={-1}>{pool.name}</h1>
      <State tone={how.tone} word={how.word} strong />
      <dl class="inline">
        <Fact label="Backends">{pool.up || "–"}</Fact>
        {pool.verdict_since && <Fact label="Since">{age(pool.verdict_since, now)}</Fact>}
        <Fact label="Sessions">{count(sum.active)}</Fact>
        <Fact label="New/s">{short(sum.perSecond)}</Fact>
        <Fact label="To clients">{byteRate(sum.toClient)}</Fact>
        <Fact label="To backends">{byteRate(sum.toBackend)}</Fact>
        <Fact label="Connect p50 / p99">
          {millis(pool.connect_ms?.p50)} / {millis(pool.connect_ms?.p99)}
        </Fact>
        <Fact label="First byte p50 / p99">
          {millis(pool.first_byte_ms?.p50)} / {millis(pool.first_byte_ms?.p99)}
        </Fact>
        {pool.queue !== undefined && (
          <Fact label="Waiting">
            {count(pool.queued)} of {count(pool.queue)}
            {(pool.overloaded ?? 0) > 0 && `, ${count(pool.overloaded)} turned away`}
          </Fact>
        )}
        {pool.balance && <Fact label="Balance">{pool.balance}</Fact>}
      </dl>
    </header>
  );
}

function About({ pool, backend = "" }: { pool: string; backend?: string }) {
  const all = useStore(events);
  const list = useMemo(
    () => all.filter((event) => event.pool === pool && (!backend || event.backend === backend)).slice(0, 12),
    [all, pool, backend],
  );
  return (
    <Panel id="events" title="Events" more={<a href={pageLink("events", { text: backend ? `${pool}/${backend}` : pool })}>All</a>}>
      <EventList list={list} />
    </Panel>
  );
}

export function PoolPage({ name }: { name: string }) {
  const pool = findPool(useStore(status), name);
  if (!pool) return <Gone what={name} />;
  return (
    <>
      <nav class="crumbs" aria-label="Where you are">
        <a href="#/">Overview</a> <span aria-hidden="true">/</span>
      </nav>
      <PoolHead pool={pool} />
      <States pool={name} />
      <Charts pool={name} />
      <Backends pool={pool} />
      <About pool={name} />
    </>
  );
}

function killLink(pool: string, backend: Backend) {
  return (
    <button
      type="button"
      class="small"
      aria-label={`Kill the sessions of ${pool}/${backend.name}`}
      disabled={backend.active === 0}
      onClick={() =>
        begin({
          kind: "kill",
          which: { pool, backend: `${pool}/${backend.name}` },
          count: backend.active,
          what: `all sessions of ${pool}/${backend.name}`,
        })
      }
    >
      Kill
    </button>
  );
}

export function BackendPage({ pool: poolName, name }: { pool: string; name: string }) {
  const now = useNow();
  const pool = findPool(useStore(status), poolName);
  // One that leaves may have a successor of its name.
  const called = pool?.backends.filter((backend) => backend.name === name) ?? [];
  const one = called.find((backend) => !backend.removed) ?? called[0];
  if (!pool || !one) return <Gone what={`${poolName}/${name}`} />;
  const how = standing(one);
  const part = share(pool, one);
  return (
    <>
      <nav class="crumbs" aria-label="Where you are">
        <a href="#/">Overview</a> <span aria-hidden="true">/</span> <a href={poolLink(poolName)}>{poolName}</a>{" "}
        <span aria-hidden="true">/</span>
      </nav>
      <header class="top">
        <h1 tabIndex={-1}>{name}</h1>
        <State tone={how.tone} word={how.word} strong />
        <span class="doing">
          <BackendButtons pool={poolName} backend={one} />
          {killLink(poolName, one)}
          <a class="button small" href={pageLink("sessions", { backend: `${poolName}/${name}` })}>
            Sessions
          </a>
        </span>
        <p class="why">
          {why(one)} <span class="age">for {age(one.admin === "enabled" ? one.since : one.admin_since, now)}</span>
        </p>
        <dl class="inline">
          <Fact label="Address">
            {one.address}
            {one.resolved && ` → ${one.resolved.join(", ")}`}
          </Fact>
          <Fact label="Weight">{weightText(one)}</Fact>
          {part !== null && <Fact label="Part of new sessions">{percent(part)}</Fact>}
          <Fact label="Sessions">
            {count(one.active)}
            {one.max_sessions > 0 && ` of ${count(one.max_sessions)}`}
          </Fact>
          <Fact label="In all">{count(one.total)}</Fact>
          <Fact label="New/s">{short(one.sessions_per_second ?? 0)}</Fact>
          <Fact label="To clients">
            {byteRate(one.bytes_to_client_per_second ?? 0)}, {bytes(one.bytes_to_client)}
          </Fact>
          <Fact label="To backend">
            {byteRate(one.bytes_to_backend_per_second ?? 0)}, {bytes(one.bytes_to_backend)}
          </Fact>
          <Fact label="Connect p50 / p99">
            {millis(one.connect_ms?.p50)} / {millis(one.connect_ms?.p99)}
          </Fact>
          <Fact label="First byte p50 / p99">
            {millis(one.first_byte_ms?.p50)} / {millis(one.first_byte_ms?.p99)}
          </Fact>
          <Fact label="Failed connects">{count(one.connect_failures)}</Fact>
          {one.last_probe_ms !== null && one.last_probe_ms !== undefined && <Fact label="Last probe">{millis(one.last_probe_ms)}</Fact>}
          {one.longest_idle_seconds !== null && one.longest_idle_seconds !== undefined && (
            <Fact label="Longest idle">{span(one.longest_idle_seconds)}</Fact>
          )}
          {one.agent && <Fact label="Its agent says">{one.agent.says || "nothing yet"}</Fact>}
          {one.added && <Fact label="Member">until the next reload</Fact>}
        </dl>
      </header>
      <States pool={poolName} backend={`${poolName}/${name}`} />
      <Charts pool={poolName} backend={name} />
      <About pool={poolName} backend={name} />
    </>
  );
}
