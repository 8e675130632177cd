import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** Modal; Escape closes it, and the focus goes back to where it was. */
export function Dialog({ title, children, close }: { title: string; children: ComponentChildren; close: () => void }) {
  const at = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = at.current!;
    const before = document.activeElement;
    if (!dialog.open) dialog.showModal();
    return () => {
      if (dialog.open) dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={at}
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
    >
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  );
}

export function Buttons({ close, children, word = "Cancel" }: { close: () => void; children?: ComponentChildren; word?: string }) {
  return (
    <div class="buttons">
      <button type="button" onClick={close}>
        {word}
      </button>
      {children}
    </div>
  );
}

export function Trouble({ text }: { text: string }) {
  return (
    <p class="trouble" role="alert">
      {text}
    </p>
  );
}
