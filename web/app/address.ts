import { useEffect, useState } from "preact/hooks";

/** What one sees: the path's steps and the query. It is all in the address, so that a link shows the same. */
export interface Address {
  readonly steps: readonly string[];
  readonly query: Readonly<Record<string, string>>;
}

const listeners = new Set<() => void>();

function current(): Address {
  const { pathname, search } = window.location;
  return {
    steps: pathname
      .split("/")
      .filter((step) => step !== "")
      .map((step) => safely(step)),
    query: Object.fromEntries(new URLSearchParams(search)),
  };
}

function safely(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch (error) {
    if (error instanceof URIError) return step;
    throw error;
  }
}

/** Goes to an address of this page. `replace`: Back does not lead to the one before. */
export function go(path: string, { replace = false } = {}): void {
  if (replace) window.history.replaceState(null, "", path);
  else window.history.pushState(null, "", path);
  for (const listener of listeners) listener();
}

export function useAddress(): Address {
  const [address, set] = useState(current);
  useEffect(() => {
    const listener = (): void => {
      set(current());
    };
    listeners.add(listener);
    window.addEventListener("popstate", listener);
    return () => {
      listeners.delete(listener);
      window.removeEventListener("popstate", listener);
    };
  }, []);
  return address;
}

/** A click on a link of this page changes what is seen without loading it anew. */
export function followLinks(event: MouseEvent): void {
  const link = (event.target as Element).closest("a");
  if (link === null || event.defaultPrevented || event.button !== 0) return;
  if (
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey ||
    link.target !== "" ||
    link.hasAttribute("download")
  )
    return;
  if (link.origin !== window.location.origin || link.pathname.startsWith("/api/")) return;
  event.preventDefault();
  go(`${link.pathname}${link.search}`);
}
