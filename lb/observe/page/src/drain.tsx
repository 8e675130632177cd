// Drain: what it will do, then how far it is.
import { useEffect, useRef, useState } from "preact/hooks";
import { reasonOf, say, token } from "./acting";
import { type Backend, type Changed, type Pool, path, post } from "./api";
import { Buttons, Dialog, Trouble } from "./dialog";
import { clock, count, plural, span } from "./format";
import { others } from "./model";
import { useNow } from "./store";

interface Begun {
  at: number;
  sessions: number;
  notes: string[];
}

function After({ pool, backend }: { pool: Pool; backend: Backend }) {
  const rest = others(pool, backend);
  if (!backend.eligible) return <p>It gets no new sessions now, and will get none until it is enabled again.</p>;
  if (rest.length === 0)
    return (
      <p class="warning">
        It is the last eligible backend of {pool.name}: until there is another one, <b>new clients are turned away</b>.
      </p>
    );
  const names = rest.slice(0, 3).map((one) => one.name).join(", ") + (rest.length > 3 ? ", …" : "");
  return (
    <p>
      New clients go to the {rest.length === 1 ? "one backend" : `${rest.length} backends`} left ({names}).
    </p>
  );
}

function Progress({ backend, begun, close }: { backend: Backend | undefined; begun: Begun; close: () => void }) {
  const now = useNow();
  const left = backend?.active ?? 0;
  const ended = useRef(0);
  if (left === 0 && !ended.current) ended.current = now;
  const most = Math.max(begun.sessions, left);
  const deadline = backend?.closes_at ? Date.parse(backend.closes_at) : NaN;
  return (
    <>
      <p class="big" role="status">
        {left > 0 ? `Drained, ${plural(left, "session")} left` : "Drained, no session left"}
      </p>
      <progress max={Math.max(1, most)} value={most - left} aria-label="Sessions that have ended" />
      <dl class="facts">
        <dt>Sessions when it began</dt>
        <dd>{count(begun.sessions)}</dd>
        <dt>Since</dt>
        <dd>{ended.current ? span((ended.current - begun.at) / 1000) : span((now - begun.at) / 1000)}</dd>
        {left > 0 && !Number.isNaN(deadline) && (
          <>
            <dt>What is left is closed</dt>
            <dd>
              {deadline > now ? `at ${clock(deadline)}, in ${span((deadline - now) / 1000)}` : "now"}
            </dd>
          </>
        )}
      </dl>
      {begun.notes.map((note) => (
        <p class="warning" key={note}>
          {note}
        </p>
      ))}
      <p class="hint">{left > 0 ? "It goes on when this is closed." : "It stays drained until it is enabled."}</p>
      <Buttons close={close} word="Close" />
    </>
  );
}

export function Drain({ pool, backend, close }: { pool: Pool; backend: Backend | undefined; close: () => void }) {
  const [name] = useState(backend?.name ?? "");
  const [then, setThen] = useState<"leave" | "close">("leave");
  const [minutes, setMinutes] = useState("5");
  const [spread, setSpread] = useState("30");
  const [comment, setComment] = useState("");
  const [forced, setForced] = useState(false);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState("");
  const [begun, setBegun] = useState<Begun | null>(null);
  const key = `${pool.name}/${name}`;

  const left = backend?.active ?? 0;
  useEffect(() => {
    if (begun && left === 0) say(`${key}: drained, no session left`);
  }, [begun !== null && left === 0]);

  if (begun)
    return (
      <Dialog title={`Drain ${key}`} close={close}>
        <Progress backend={backend} begun={begun} close={close} />
      </Dialog>
    );
  if (!backend)
    return (
      <Dialog title={`Drain ${key}`} close={close}>
        <p>It is not there any more.</p>
        <Buttons close={close} word="Close" />
      </Dialog>
    );
  const last = backend.eligible && others(pool, backend).length === 0;
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setTrouble("");
    try {
      const done = await post<Changed>(
        path("backends", pool.name, name, "drain"),
        {
          ...(comment && { comment }),
          ...(last && { force: true }),
          ...(then === "close" && {
            then,
            timeout_ms: Math.round(Number(minutes) * 60_000),
            spread_ms: Math.round(Number(spread) * 1000),
          }),
        },
        token.get(),
      );
      const sessions = done.changed[0]?.sessions ?? 0;
      setBegun({ at: Date.now(), sessions, notes: [...(done.warnings ?? []), ...(done.notes ?? [])] });
      say(`${key}: drained, ${plural(sessions, "session")} left`);
    } catch (error) {
      setTrouble(reasonOf(error));
    }
    setBusy(false);
  };
  return (
    <Dialog title={`Drain ${key}`} close={close}>
      <form onSubmit={submit}>
        <p>
          It gets no new sessions. {backend.active > 0 ? `Its ${plural(backend.active, "session")} ${backend.active === 1 ? "goes" : "go"} on` : "It has no session now"};
          probes go on.
        </p>
        <After pool={pool} backend={backend} />
        <fieldset>
          <legend>Sessions that do not end by themselves</legend>
          <label class="radio">
            <input type="radio" name="then" checked={then === "leave"} onChange={() => setThen("leave")} /> are left alone
          </label>
          <label class="radio">
            <input type="radio" name="then" checked={then === "close"} onChange={() => setThen("close")} /> are closed with a reset
          </label>
          {then === "close" && (
            <div class="fields">
              <label>
                after
                <input type="number" required min="0" max="1440" step="any" value={minutes} onInput={(e) => setMinutes(e.currentTarget.value)} />
                min
              </label>
              <label>
                spread over
                <input type="number" required min="0" max="3600" step="any" value={spread} onInput={(e) => setSpread(e.currentTarget.value)} />
                s
              </label>
            </div>
          )}
        </fieldset>
        <label class="line">
          Comment <span class="hint">for your colleagues; may be left out</span>
          <input type="text" maxLength={200} value={comment} onInput={(e) => setComment(e.currentTarget.value)} />
        </label>
        {last && (
          <label class="radio">
            <input type="checkbox" required checked={forced} onChange={(e) => setForced(e.currentTarget.checked)} /> Turn new clients away
          </label>
        )}
        {trouble && <Trouble text={trouble} />}
        <Buttons close={close}>
          <button type="submit" class="primary" disabled={busy || (last && !forced)}>
            {busy ? "Draining …" : "Drain"}
          </button>
        </Buttons>
      </form>
    </Dialog>
  );
}
