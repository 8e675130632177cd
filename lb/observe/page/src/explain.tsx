// Which backend a client would get, and why.
import { useEffect, useState } from "preact/hooks";
import { reasonOf, token } from "./acting";
import { type Explanation, get, path } from "./api";
import { Panel, State } from "./bits";
import { Trouble } from "./dialog";
import { status } from "./live";
import { backendLink, pageLink, route } from "./route";
import { useStore } from "./store";

function Answer({ said }: { said: Explanation }) {
  return (
    <Panel id="answer" title={`A client from ${said.client}`}>
      <p class="big">
        {said.backend && said.pool ? (
          <>
            gets <a href={backendLink(said.pool, said.backend)}>{`${said.pool}/${said.backend}`}</a>
          </>
        ) : said.decision && said.decision !== "let in" ? (
          <State tone="bad" word={`is not let in: ${said.decision}`} strong />
        ) : (
          <State tone="bad" word={`gets no backend${said.pool ? ` of ${said.pool}` : ""}`} strong />
        )}
      </p>
      {said.because.length > 0 && (
        <ul class="because">
          {said.because.map((line, i) => (
            <li key={i}>{line}</li>
          ))}
        </ul>
      )}
      {said.excluded.length > 0 && (
        <>
          <h3>Not in question</h3>
          <dl class="excluded">
            {said.excluded.map((one) => (
              <div key={one.backend}>
                <dt>{said.pool ? <a href={backendLink(said.pool, one.backend)}>{one.backend}</a> : one.backend}</dt>
                <dd>{one.reason}</dd>
              </div>
            ))}
          </dl>
        </>
      )}
    </Panel>
  );
}

export function ExplainPage() {
  const now = useStore(status)!;
  const query = useStore(route).query;
  const first = now.listeners[0] ? `listener:${now.listeners[0].name}` : `pool:${now.pools[0]?.name ?? ""}`;
  const [where, setWhere] = useState(query.get("where") ?? first);
  const [client, setClient] = useState(query.get("client") ?? "");
  const [sni, setSni] = useState(query.get("sni") ?? "");
  const [said, setSaid] = useState<Explanation | null>(null);
  const [trouble, setTrouble] = useState("");
  const ofListener = where.startsWith("listener:");
  const ask = async () => {
    const name = where.slice(where.indexOf(":") + 1);
    try {
      const values = ofListener ? { listener: name, client, sni } : { pool: name, client };
      setSaid(await get<Explanation>(path("explain"), values, token.get()));
      setTrouble("");
    } catch (error) {
      setSaid(null);
      setTrouble(reasonOf(error));
    }
  };
  useEffect(() => {
    if (client) void ask();
  }, []);
  return (
    <>
      <h1 tabIndex={-1}>Explain</h1>
      <p class="lead">Which backend a client would get now, and why.</p>
      <form
        class="filter"
        onSubmit={(event) => {
          event.preventDefault();
          history.replaceState(null, "", pageLink("explain", { where, client, ...(ofListener && sni && { sni }) }));
          void ask();
        }}
      >
        <label>
          Through
          <select value={where} onChange={(e) => setWhere(e.currentTarget.value)}>
            <optgroup label="Listener">
              {now.listeners.map((one) => (
                <option key={one.name} value={`listener:${one.name}`}>
                  {`listener ${one.name}`}
                </option>
              ))}
            </optgroup>
            <optgroup label="Pool">
              {now.pools.map((one) => (
                <option key={one.name} value={`pool:${one.name}`}>
                  {`pool ${one.name}`}
                </option>
              ))}
            </optgroup>
          </select>
        </label>
        <label>
          Client address
          <input type="text" required data-filter placeholder="203.0.113.9" value={client} onInput={(e) => setClient(e.currentTarget.value.trim())} />
        </label>
        {ofListener && (
          <label>
            TLS name
            <input type="text" placeholder="may be left out" value={sni} onInput={(e) => setSni(e.currentTarget.value.trim())} />
          </label>
        )}
        <button type="submit" class="primary">
          Explain
        </button>
      </form>
      {trouble && <Trouble text={trouble} />}
      {said && <Answer said={said} />}
    </>
  );
}
