// The frame of every page.
import { useEffect } from "preact/hooks";
import { Actions } from "./actions";
import { begin, forgetToken, said, say, token } from "./acting";
import { EventsPage } from "./events";
import { ExplainPage } from "./explain";
import { clock, span } from "./format";
import { link, status } from "./live";
import { problems } from "./model";
import { Overview } from "./overview";
import { BackendPage, PoolPage } from "./pool";
import { route, type Route } from "./route";
import { SessionsPage } from "./sessions";
import { useNow, useStore } from "./store";

function titleOf(at: Route): string {
  if (at.page === "pool") return at.pool;
  if (at.page === "backend") return `${at.pool}/${at.backend}`;
  return at.page === "overview" ? "" : at.page[0]!.toUpperCase() + at.page.slice(1);
}

function Page({ at }: { at: Route }) {
  switch (at.page) {
    case "overview":
      return <Overview />;
    case "pool":
      return <PoolPage key={at.pool} name={at.pool} />;
    case "backend":
      return <BackendPage key={`${at.pool}/${at.backend}`} pool={at.pool} name={at.backend} />;
    case "sessions":
      return <SessionsPage />;
    case "explain":
      return <ExplainPage />;
    case "events":
      return <EventsPage />;
    case "nowhere":
      return (
        <>
          <h1 tabIndex={-1}>There is no such page</h1>
          <p class="note">
            <a href="#/">Overview</a>
          </p>
        </>
      );
  }
}

function Connection() {
  const now = useStore(link);
  const time = useNow();
  const word = { connecting: "Connecting", live: "Live", gone: "No answer" }[now.state];
  return (
    <span class={`link ${now.state}`} role="status">
      <i aria-hidden="true" />
      {word}
      {now.state === "gone" && <span aria-hidden="true">{` for ${span((time - now.since) / 1000)}`}</span>}
    </span>
  );
}

function Gone({ since }: { since: number }) {
  return (
    <p class="gone" role="alert">
      Weir has not answered since {clock(since)}. What is shown is from then; the page keeps trying.
    </p>
  );
}

function Head({ at }: { at: Route }) {
  const secret = useStore(token);
  const here = (page: Route["page"]) => (at.page === page ? { "aria-current": "page" as const } : {});
  return (
    <header class="bar-top">
      <a class="brand" href="#/" aria-label="Weir, overview">
        <svg viewBox="0 0 20 16" width="20" height="16" aria-hidden="true">
          <path d="M1 4q2.5-3.4 4.6 0t4.6 0 4.6 0 4.2-.6M1 9q2.5-3.4 4.6 0t4.6 0 4.6 0 4.2-.6M1 14q2.5-3.4 4.6 0t4.6 0 4.6 0 4.2-.6" />
        </svg>
        Weir
      </a>
      <nav aria-label="Pages">
        <a href="#/" {...here("overview")}>
          Overview
        </a>
        <a href="#/sessions" {...here("sessions")}>
          Sessions
        </a>
        <a href="#/explain" {...here("explain")}>
          Explain
        </a>
        <a href="#/events" {...here("events")}>
          Events
        </a>
      </nav>
      <Connection />
      {secret ? (
        <button
          type="button"
          class="small"
          onClick={() => {
            forgetToken();
            say("The token is forgotten: this page looks only.");
          }}
        >
          Lock
        </button>
      ) : (
        <button type="button" class="small" onClick={() => begin({ kind: "token" })}>
          Make changes
        </button>
      )}
    </header>
  );
}

/** "/" goes to the filter of the page, where it has one. */
function onKey(event: KeyboardEvent): void {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target instanceof Element && event.target.closest("input, textarea, select, dialog")) return;
  const filter = document.querySelector<HTMLInputElement>("[data-filter]");
  if (!filter) return;
  event.preventDefault();
  filter.focus();
  filter.select();
}

export function App() {
  const at = useStore(route);
  const now = useStore(status);
  const state = useStore(link);
  const toast = useStore(said);
  const wrong = now ? problems(now).filter((one) => one.tone === "bad" && !one.backend).length : 0;
  const title = titleOf(at);
  useEffect(() => {
    document.title = `${wrong > 0 ? `(${wrong}) ` : ""}${title ? `${title} – ` : ""}Weir`;
  }, [title, wrong]);
  useEffect(() => {
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  // Another page is another document to whoever reads it by ear or by key; another filter is not.
  useEffect(() => {
    const place = ({ page, pool, backend }: Route) => [page, pool, backend].join("\n");
    let before = place(route.get());
    return route.follow(() => {
      const now = place(route.get());
      if (now === before) return;
      before = now;
      requestAnimationFrame(() => {
        if (document.querySelector("dialog[open]")) return;
        scrollTo(0, 0);
        document.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
      });
    });
  }, []);
  return (
    <>
      <a
        class="skip"
        href="#content"
        onClick={(event) => {
          event.preventDefault();
          document.querySelector<HTMLElement>("h1")?.focus();
        }}
      >
        Skip to the content
      </a>
      <Head at={at} />
      {state.state === "gone" && <Gone since={state.since} />}
      <main id="content" class={state.state === "gone" ? "stale" : ""}>
        {now ? <Page at={at} /> : <p class="note">{state.state === "gone" ? "Waiting for Weir …" : "Asking Weir …"}</p>}
      </main>
      <div class="toast" role="status">
        {toast && <p>{toast}</p>}
      </div>
      <Actions />
    </>
  );
}
