// Live sessions: who may see clients sees them.
import { useEffect, useMemo, useState } from "preact/hooks";
import { begin, reasonOf, token, type Which } from "./acting";
import { type Session, get, path } from "./api";
import { Panel } from "./bits";
import { Trouble } from "./dialog";
import { bytes, count, plural, span } from "./format";
import { Grid, byMost, byText, type Column } from "./grid";
import { link, status } from "./live";
import { backendLink, pageLink, route } from "./route";
import { useStore } from "./store";

const kEvery = 2000; // ms
const kMost = 2000;

interface Filter {
  pool: string;
  backend: string;
  client: string;
  sort: string;
}

interface Found {
  sessions: Session[];
  left_out?: number;
}

function useSessions(filter: Filter, paused: boolean) {
  const secret = useStore(token);
  const live = useStore(link).state === "live";
  const [found, setFound] = useState<Found | null>(null);
  const [trouble, setTrouble] = useState("");
  const { pool, backend, client, sort } = filter;
  useEffect(() => {
    if (!secret || !live) return undefined;
    let wanted = true;
    const look = async () => {
      if (document.hidden) return;
      try {
        const now = await get<Found>(path("sessions"), { pool, backend, client, sort, limit: kMost }, secret);
        if (wanted) {
          setFound(now);
          setTrouble("");
        }
      } catch (error) {
        if (wanted) setTrouble(reasonOf(error));
      }
    };
    const soon = setTimeout(look, 250);
    const timer = paused ? 0 : setInterval(look, kEvery);
    return () => {
      wanted = false;
      clearTimeout(soon);
      clearInterval(timer);
    };
  }, [pool, backend, client, sort, secret, live, paused]);
  return { found, trouble };
}

function columns(chosen: Set<string>, toggle: (id: string) => void): Column<Session>[] {
  return [
    {
      key: "pick",
      label: "Chosen",
      show: (one) => (
        <input type="checkbox" aria-label={`Session ${one.id} of ${one.client}`} checked={chosen.has(one.id)} onChange={() => toggle(one.id)} />
      ),
    },
    { key: "client", label: "Client", sort: byText((one) => one.client), show: (one) => one.client },
    { key: "listener", label: "Listener", sort: byText((one) => one.listener), show: (one) => one.listener },
    {
      key: "backend",
      label: "Backend",
      sort: byText((one) => `${one.pool}/${one.backend ?? ""}`),
      show: (one) => (one.backend ? <a href={backendLink(one.pool, one.backend)}>{`${one.pool}/${one.backend}`}</a> : `${one.pool}, none yet`),
    },
    { key: "state", label: "State", sort: byText((one) => one.state), show: (one) => one.state.replace("_", " ") },
    { key: "age", label: "Age", number: true, sort: byMost((one) => one.age_seconds), show: (one) => span(one.age_seconds) },
    { key: "idle", label: "Idle", number: true, sort: byMost((one) => one.idle_seconds), show: (one) => span(one.idle_seconds) },
    { key: "tobackend", label: "To backend", number: true, sort: byMost((one) => one.bytes_to_backend), show: (one) => bytes(one.bytes_to_backend) },
    { key: "toclient", label: "To client", number: true, sort: byMost((one) => one.bytes_to_client), show: (one) => bytes(one.bytes_to_client) },
    { key: "id", label: "Id", show: (one) => one.id },
  ];
}

function Locked() {
  return (
    <>
      <h1 tabIndex={-1}>Sessions</h1>
      <Panel id="locked" title="Clients are shown to those who have the token">
        <p class="note">
          <button type="button" class="primary" onClick={() => begin({ kind: "token" })}>
            Enter the token
          </button>
        </p>
      </Panel>
    </>
  );
}

export function SessionsPage() {
  const secret = useStore(token);
  const query = useStore(route).query;
  const now = useStore(status)!;
  const filter: Filter = {
    pool: query.get("pool") ?? "",
    backend: query.get("backend") ?? "",
    client: query.get("client") ?? "",
    sort: query.get("sort") ?? "",
  };
  const [chosen, setChosen] = useState(new Set<string>());
  const { found, trouble } = useSessions(filter, false);
  const toggle = (id: string) =>
    setChosen((old) => {
      const next = new Set(old);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  const shown = useMemo(() => columns(chosen, toggle), [chosen]);
  if (!secret) return <Locked />;
  const set = (change: Partial<Filter>) => {
    const values = Object.fromEntries(Object.entries({ ...filter, ...change }).filter(([, value]) => value !== ""));
    location.replace(pageLink("sessions", values));
  };
  const list = found?.sessions ?? [];
  const ids = list.filter((one) => chosen.has(one.id)).map((one) => one.id);
  const all = list.length + (found?.left_out ?? 0);
  const which: Which = {
    ...(filter.pool && { pool: filter.pool }),
    ...(filter.backend && { backend: filter.backend }),
    ...(filter.client && { client: filter.client }),
  };
  const filtered = Object.keys(which).length > 0;
  return (
    <>
      <h1 tabIndex={-1}>Sessions</h1>
      <form class="filter" onSubmit={(event) => event.preventDefault()}>
        <label>
          Pool
          <select value={filter.pool} onChange={(e) => set({ pool: e.currentTarget.value, backend: "" })}>
            <option value="">all</option>
            {now.pools.map((pool) => (
              <option key={pool.name} value={pool.name}>
                {pool.name}
              </option>
            ))}
          </select>
        </label>
        <label>
          Backend
          <input type="search" placeholder="web/web1, web/*" value={filter.backend} onChange={(e) => set({ backend: e.currentTarget.value.trim() })} />
        </label>
        <label>
          Client
          <input type="search" data-filter placeholder="203.0.113.0/24" value={filter.client} onChange={(e) => set({ client: e.currentTarget.value.trim() })} />
        </label>
        <label>
          First
          <select value={filter.sort} onChange={(e) => set({ sort: e.currentTarget.value })}>
            <option value="">by id</option>
            <option value="bytes">most bytes</option>
            <option value="age">oldest</option>
            <option value="idle">longest idle</option>
          </select>
        </label>
      </form>
      {trouble && <Trouble text={trouble} />}
      <Panel
        id="list"
        title={found ? plural(all, "session") + (found.left_out ? `, ${count(list.length)} shown` : "") : "Sessions"}
        more={
          <>
            <button
              type="button"
              class="small"
              disabled={ids.length === 0}
              onClick={() => begin({ kind: "kill", which: { ids }, count: ids.length, what: ids.length === 1 ? `session ${ids[0]}` : `${ids.length} sessions` })}
            >
              {`Kill chosen${ids.length > 0 ? ` (${ids.length})` : ""}`}
            </button>
            <button
              type="button"
              class="small"
              disabled={!filtered || all === 0}
              title={filtered ? "" : "Set a filter first"}
              onClick={() => begin({ kind: "kill", which, count: all, what: "all sessions that match the filter" })}
            >
              Kill all that match
            </button>
          </>
        }
      >
        <Grid
          label="Sessions"
          kind="sessions"
          columns={shown}
          rows={list}
          id={(one) => one.id}
          empty={found ? "No session matches." : "Asking …"}
        />
      </Panel>
    </>
  );
}
