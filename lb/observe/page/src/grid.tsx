// A table of any length: only the rows in sight are in the document. Rows are of one height.
import { Component, type ComponentChildren } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

export interface Column<Row> {
  key: string;
  label: string;
  /** For a label that is short. */
  title?: string;
  number?: boolean;
  show: (row: Row) => ComponentChildren;
  /** The order of the first click; without it the column is not sorted by. */
  sort?: (a: Row, b: Row) => number;
}

export interface GridProps<Row> {
  label: string;
  /** Its class says the widths of the columns. */
  kind: string;
  columns: Column<Row>[];
  rows: Row[];
  id: (row: Row) => string;
  /** The order at first, and of equals. */
  order?: (a: Row, b: Row) => number;
  empty: ComponentChildren;
  tone?: (row: Row) => string;
}

const kAhead = 8; // rows beyond the window's edges
const kAllAtOnce = 60;

/** Which rows are in sight, and how high one is. */
function useWindow(total: number) {
  const body = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ first: 0, end: Math.min(total, kAllAtOnce), height: 36 });
  useLayoutEffect(() => {
    let frame = 0;
    const look = () => {
      frame = 0;
      const at = body.current;
      if (!at) return;
      const height = parseFloat(getComputedStyle(at).getPropertyValue("--row")) || 36;
      const top = at.getBoundingClientRect().top;
      let first = 0;
      let end = total;
      if (total > kAllAtOnce) {
        first = Math.max(0, Math.min(total, Math.floor(-top / height)) - kAhead);
        end = Math.min(total, Math.ceil((innerHeight - top) / height) + kAhead);
        end = Math.max(end, Math.min(total, first + 1));
      }
      setView((old) => (old.first === first && old.end === end && old.height === height ? old : { first, end, height }));
    };
    const soon = () => {
      if (!frame) frame = requestAnimationFrame(look);
    };
    look();
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    const watch = new ResizeObserver(soon);
    watch.observe(document.body);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
      watch.disconnect();
    };
  }, [total]);
  return { body, ...view };
}

interface LineProps<Row> {
  row: Row;
  columns: Column<Row>[];
  index: number;
  tone: string;
}

/** One row. While one scrolls, those that stay in sight are left as they are. */
class Line<Row> extends Component<LineProps<Row>> {
  override shouldComponentUpdate(next: LineProps<Row>): boolean {
    const { row, columns, index } = this.props;
    return next.row !== row || next.columns !== columns || next.index !== index;
  }
  override render({ row, columns, index, tone }: LineProps<Row>) {
    return (
      <div role="row" class={`row ${tone}`} aria-rowindex={index}>
        {columns.map((column) => (
          <div key={column.key} role="cell" class={`c-${column.key}${column.number ? " number" : ""}`}>
            {column.show(row)}
          </div>
        ))}
      </div>
    );
  }
}

export function Grid<Row>({ label, kind, columns, rows, id, order, empty, tone }: GridProps<Row>) {
  const [sorted, setSorted] = useState<{ key: string; down: boolean } | null>(null);
  const by = sorted && columns.find((column) => column.key === sorted.key)?.sort;
  const list = useMemo(() => {
    const out = [...rows];
    if (order) out.sort(order);
    if (by && sorted) out.sort((a, b) => (sorted.down ? -by(a, b) : by(a, b)));
    return out;
  }, [rows, order, by, sorted]);
  const { body, first, end, height } = useWindow(list.length);
  const click = (key: string) =>
    setSorted((old) => (old?.key !== key ? { key, down: false } : old.down ? null : { key, down: true }));
  const direction = (key: string) => (sorted?.key !== key ? "none" : sorted.down ? "descending" : "ascending");
  const shown = list.slice(first, end);
  return (
    <div class={`grid ${kind}`} role="table" aria-label={label} aria-rowcount={list.length + 1}>
      <div role="rowgroup" class="head">
        <div role="row" class="row" aria-rowindex={1}>
          {columns.map((column) => (
            <div
              key={column.key}
              role="columnheader"
              class={`c-${column.key}${column.number ? " number" : ""}`}
              {...(column.sort && { "aria-sort": direction(column.key) })}
            >
              {column.sort ? (
                <button type="button" title={column.title} onClick={() => click(column.key)}>
                  {column.label}
                  <span class="arrow" aria-hidden="true">
                    {direction(column.key) === "none" ? "" : direction(column.key) === "ascending" ? " ↑" : " ↓"}
                  </span>
                </button>
              ) : (
                <span title={column.title}>{column.label}</span>
              )}
            </div>
          ))}
        </div>
      </div>
      <div role="rowgroup" class="body" ref={body}>
        {first > 0 && <div style={{ height: `${first * height}px` }} role="presentation" />}
        {shown.map((row, i) => (
          <Line key={id(row)} row={row} columns={columns} index={first + i + 2} tone={tone?.(row) ?? ""} />
        ))}
        {end < list.length && <div style={{ height: `${(list.length - end) * height}px` }} role="presentation" />}
      </div>
      {list.length === 0 && <p class="note">{empty}</p>}
    </div>
  );
}

export const byText = <Row,>(text: (row: Row) => string) => {
  const order = new Intl.Collator("en", { numeric: true });
  return (a: Row, b: Row) => order.compare(text(a), text(b));
};
/** The most comes first. */
export const byMost = <Row,>(number: (row: Row) => number) => (a: Row, b: Row) => number(b) - number(a);
