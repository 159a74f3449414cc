import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { CallError } from "../calls.ts";

/** What to do where something failed: the server's own words. */
export function Failed({ error, retry }: { readonly error: CallError; readonly retry?: () => void }) {
  return (
    <div class="state failed" role="alert">
      <h2>{error.status === 0 ? "The server is away" : error.status === 404 ? "Not here" : "That did not work"}</h2>
      <p>{error.message}</p>
      <p class="fine">
        {error.code}
        {error.field === null ? "" : ` · ${error.field}`}
      </p>
      {retry === undefined ? null : (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Beside what was answered before: why it is not as new as it should be. */
export function Outdated({ error, retry }: { readonly error: CallError | null; readonly retry: () => void }) {
  // The frame says that the server is away, and everything is asked for again by itself.
  if (error === null || error.status === 0) return null;
  return (
    <p class="outdated" role="alert">
      <span>
        What is shown is from before: {error.message} <span class="fine">{error.code}</span>
      </span>
      <button type="button" onClick={retry}>
        Try again
      </button>
    </p>
  );
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="state">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Grey shapes of about the size of what comes */
export function Loading({ rows = 8, label = "Loading" }: { readonly rows?: number; readonly label?: string }) {
  return (
    <div class="loading" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, at) => (
        <div key={at} class="bone" />
      ))}
    </div>
  );
}

/** A command that does what the page does not, to be copied. */
export function Command({ text }: { readonly text: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = (): void => {
    void navigator.clipboard.writeText(text).then(() => {
      setCopied(true);
      setTimeout(() => {
        setCopied(false);
      }, 1500);
    });
  };
  return (
    <div class="command">
      <code tabIndex={0}>{text}</code>
      <button type="button" class="quiet" onClick={copy} aria-label={`Copy the command ${text}`}>
        {isCopied ? "Copied" : "Copy"}
      </button>
    </div>
  );
}
