/** How full a class is: K is the whole width. */
export function Fill({ count, k, label }: { readonly count: number; readonly k: number; readonly label: string }) {
  const share = Math.min(1, k === 0 ? 0 : count / k);
  return (
    <span class={`fill${share < 1 ? " short" : ""}`} role="img" aria-label={`${label}: ${count} of ${k}`}>
      <span style={{ width: `${100 * share}%` }} />
    </span>
  );
}
