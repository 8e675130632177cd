import { render } from "preact";
import { App } from "./app";
import { begin } from "./live";

begin();
render(<App />, document.getElementById("page")!);
