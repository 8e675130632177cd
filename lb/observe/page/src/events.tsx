import { useMemo, useState } from "preact/hooks";
import type { WeirEvent } from "./api";
import { Mark, Panel } from "./bits";
import { describe } from "./chart";
import { count, moment } from "./format";
import { events } from "./live";
import { eventTone } from "./model";
import { backendLink, poolLink, route } from "./route";
import { useNow, useStore } from "./store";

export function EventList({ list, live = false }: { list: WeirEvent[]; live?: boolean }) {
  const now = useNow();
  if (list.length === 0) return <p class="note">Nothing has happened.</p>;
  return (
    <ol class="events" {...(live && { "aria-live": "polite", "aria-relevant": "additions" })}>
      {list.map((event) => (
        <li key={`${event.time} ${event.kind} ${event.pool} ${event.backend} ${event.text}`}>
          <time dateTime={event.time}>{moment(event.time, now)}</time>
          <Mark tone={eventTone(event)} />
          <span class="text">
            {event.pool && (
              <a href={event.backend ? backendLink(event.pool, event.backend) : poolLink(event.pool)}>
                {event.backend ? `${event.pool}/${event.backend}` : event.pool}
              </a>
            )}{" "}
            {event.text}
            {event.by && <span class="hint"> by {event.by}</span>}
            {(event.count ?? 1) > 1 && <span class="hint"> × {count(event.count)}</span>}
            {event.changes.length > 0 && (
              <details>
                <summary>{event.changes.length === 1 ? "1 change" : `${count(event.changes.length)} changes`}</summary>
                <ul class="changes">
                  {event.changes.map((change, i) => (
                    <li key={i}>{change}</li>
                  ))}
                </ul>
              </details>
            )}
          </span>
        </li>
      ))}
    </ol>
  );
}

const kKinds = ["health", "verdict", "word", "member", "reload", "upgrade", "trouble", "process"];
const kPage = 200;

export function EventsPage() {
  const all = useStore(events);
  const query = useStore(route).query;
  const [kind, setKind] = useState("");
  const [text, setText] = useState(query.get("text") ?? "");
  const [shown, setShown] = useState(kPage);
  const list = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    return all.filter(
      (event) => (!kind || event.kind === kind) && (!wanted || describe(event).toLowerCase().includes(wanted)),
    );
  }, [all, kind, text]);
  return (
    <>
      <h1 tabIndex={-1}>Events</h1>
      <form class="filter" onSubmit={(event) => event.preventDefault()}>
        <label>
          Kind
          <select value={kind} onChange={(e) => setKind(e.currentTarget.value)}>
            <option value="">all</option>
            {kKinds.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </label>
        <label class="wide">
          Text
          <input type="search" data-filter value={text} placeholder="web1, reload, ann …" onInput={(e) => setText(e.currentTarget.value)} />
        </label>
        <span class="hint" role="status">
          {count(list.length)} of {count(all.length)}
        </span>
      </form>
      <Panel id="events" title="Newest first">
        <EventList list={list.slice(0, shown)} live />
        {list.length > shown && (
          <p class="note">
            <button type="button" onClick={() => setShown(shown + kPage)}>
              Show more
            </button>
          </p>
        )}
      </Panel>
    </>
  );
}
