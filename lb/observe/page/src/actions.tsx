// What may be changed: each says what it will do before, and what it has done after.
import { useState } from "preact/hooks";
import { type Action, type Which, action, begin, reasonOf, say, token, tryToken } from "./acting";
import { type Backend, type Changed, type Pool, path, post } from "./api";
import { Buttons, Dialog, Trouble } from "./dialog";
import { Drain } from "./drain";
import { count, percent, plural } from "./format";
import { status } from "./live";
import { findPool, share } from "./model";
import { useStore } from "./store";

const close = () => action.set(null);

/** Sends one change; keeps the dialog open, with the reason, when it is refused. */
function useChange() {
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState("");
  const send = async (change: () => Promise<string>) => {
    setBusy(true);
    setTrouble("");
    try {
      say(await change());
      close();
    } catch (error) {
      setTrouble(reasonOf(error));
      setBusy(false);
    }
  };
  return { busy, trouble, send };
}

function AskToken({ then }: { then?: Action | undefined }) {
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    const refused = await tryToken(text.trim());
    setBusy(false);
    setTrouble(refused);
    if (refused) return;
    say("Changes can be made from here until this tab is closed.");
    action.set(then ?? null);
  };
  return (
    <Dialog title="Make changes" close={close}>
      <form onSubmit={submit}>
        <p>Looking is free; changes and the list of sessions need the token that is in the daemon’s web.token_file.</p>
        <label class="line">
          Token <span class="hint">kept by this browser until the tab is closed</span>
          <input
            type="password"
            autocomplete="off"
            required
            value={text}
            onInput={(e) => setText(e.currentTarget.value)}
          />
        </label>
        {trouble && <Trouble text={trouble} />}
        <Buttons close={close}>
          <button type="submit" class="primary" disabled={busy}>
            {busy ? "Asking …" : "Use it"}
          </button>
        </Buttons>
      </form>
    </Dialog>
  );
}

function result(done: Changed, text: string): string {
  return [text, ...(done.warnings ?? []), ...(done.notes ?? [])].join(". ");
}

function Enable({ pool, backend }: { pool: Pool; backend: Backend }) {
  const { busy, trouble, send } = useChange();
  const key = `${pool.name}/${backend.name}`;
  const submit = (event: Event) => {
    event.preventDefault();
    void send(async () => {
      const done = await post<Changed>(path("backends", pool.name, backend.name, "enable"), {}, token.get());
      return result(done, `${key}: enabled, ${plural(done.changed[0]?.sessions ?? 0, "session")} now`);
    });
  };
  const word = backend.admin_word;
  return (
    <Dialog title={`Enable ${key}`} close={close}>
      <form onSubmit={submit}>
        {backend.admin === "enabled" ? (
          <p>It is enabled already.</p>
        ) : (
          <p>
            It is {backend.admin}
            {word?.by && ` by ${word.by}`}
            {word?.comment && ` (“${word.comment}”)`}. It gets new sessions again{" "}
            {backend.health === "up" ? (
              <b>at once: it is up</b>
            ) : (
              <b>when a probe has passed: it is {backend.health} now</b>
            )}
            . Its {plural(backend.active, "session")} {backend.active === 1 ? "is" : "are"} not touched.
            {backend.closes_at && " What its drain would have closed stays open."}
          </p>
        )}
        {trouble && <Trouble text={trouble} />}
        <Buttons close={close}>
          <button type="submit" class="primary" disabled={busy}>
            {busy ? "Enabling …" : "Enable"}
          </button>
        </Buttons>
      </form>
    </Dialog>
  );
}

function Weight({ pool, backend }: { pool: Pool; backend: Backend }) {
  const [text, setText] = useState(String(backend.weight));
  const { busy, trouble, send } = useChange();
  const key = `${pool.name}/${backend.name}`;
  const weight = Number(text);
  const valid = Number.isInteger(weight) && weight >= 1 && weight <= 256;
  const set = (to: number | "default") =>
    send(async () => {
      const done = await post<Changed>(path("backends", pool.name, backend.name, "weight"), { weight: to }, token.get());
      return result(done, `${key}: weight ${done.changed[0]?.weight ?? to} from now on`);
    });
  const before = share(pool, backend);
  const after = valid ? share(pool, backend, weight) : null;
  return (
    <Dialog title={`Weight of ${key}`} close={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void set(weight);
        }}
      >
        <label class="line">
          Weight <span class="hint">1 to 256; the file says {backend.configured_weight}</span>
          <input type="number" required min="1" max="256" step="1" value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </label>
        <p role="status">
          {before !== null && after !== null
            ? `Its part of ${pool.name}’s new sessions goes from ${percent(before)} to ${percent(after)}. `
            : !backend.eligible
              ? "It gets no new sessions now; the weight counts when it does. "
              : ""}
          Its {plural(backend.active, "session")} {backend.active === 1 ? "is" : "are"} not touched.
        </p>
        {trouble && <Trouble text={trouble} />}
        <Buttons close={close}>
          {backend.weight_word && (
            <button type="button" disabled={busy} onClick={() => void set("default")}>
              Back to {backend.configured_weight}
            </button>
          )}
          <button type="submit" class="primary" disabled={busy || !valid}>
            {busy ? "Setting …" : "Set weight"}
          </button>
        </Buttons>
      </form>
    </Dialog>
  );
}

function Kill({ which, sessions, what }: { which: Which; sessions: number; what: string }) {
  const { busy, trouble, send } = useChange();
  const submit = (event: Event) => {
    event.preventDefault();
    void send(async () => {
      const { killed } = await post<{ killed: number }>(path("sessions", "kill"), { ...which }, token.get());
      return `${plural(killed, "session")} killed`;
    });
  };
  return (
    <Dialog title={`Kill ${what}`} close={close}>
      <form onSubmit={submit}>
        <p class="warning">
          {sessions === 1 ? "This session ends" : `Some ${count(sessions)} sessions end`} at once, with a reset to both
          sides: whatever is under way is cut.
        </p>
        {!which.ids && <p>Sessions that begin before it is done are meant, too.</p>}
        {trouble && <Trouble text={trouble} />}
        <Buttons close={close}>
          <button type="submit" class="danger" disabled={busy}>
            {busy ? "Killing …" : `Kill ${plural(sessions, "session")}`}
          </button>
        </Buttons>
      </form>
    </Dialog>
  );
}

/** The dialog of the action that is under way. */
export function Actions() {
  const now = useStore(action);
  const state = useStore(status);
  if (!now) return null;
  if (now.kind === "token") return <AskToken then={now.then} />;
  if (now.kind === "kill") return <Kill which={now.which} sessions={now.count} what={now.what} />;
  const pool = findPool(state, now.pool);
  const backend = pool?.backends.find((one) => one.name === now.backend && !one.removed);
  if (!pool || (!backend && now.kind !== "drain"))
    return (
      <Dialog title={`${now.pool}/${now.backend}`} close={close}>
        <p>It is not there any more.</p>
        <Buttons close={close} word="Close" />
      </Dialog>
    );
  if (now.kind === "drain") return <Drain pool={pool} backend={backend} close={close} />;
  if (now.kind === "enable") return <Enable pool={pool} backend={backend!} />;
  return <Weight pool={pool} backend={backend!} />;
}

/** Drain or Enable, and Weight; or `only` what takes back what has been said. */
export function BackendButtons({ pool, backend, only = false }: { pool: string; backend: Backend; only?: boolean }) {
  if (backend.removed) return null;
  const key = `${pool}/${backend.name}`;
  const kind = backend.admin === "enabled" ? "drain" : "enable";
  const open = (of: "drain" | "enable" | "weight") => begin({ kind: of, pool, backend: backend.name });
  return (
    <span class="acts">
      {(!only || kind === "enable") && <button type="button" class="small" aria-label={`${kind === "drain" ? "Drain" : "Enable"} ${key}`} onClick={() => open(kind)}>
        {kind === "drain" ? "Drain" : "Enable"}
      </button>}
      {(!only || backend.weight_word) && (
        <button type="button" class="small" aria-label={`Weight of ${key}`} onClick={() => open("weight")}>
          Weight
        </button>
      )}
    </span>
  );
}

