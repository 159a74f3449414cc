import type { Wall } from "../../../schemas/api/whatif.ts";
import { countText } from "../wording.ts";

interface CutLineProps {
  readonly top: number;
  readonly wall: Wall;
  readonly k: number;
  readonly moveTo: (y: number) => void;
  readonly step: (by: number) => void;
  /** Where the first line of images is on the screen */
  readonly originOf: () => number;
}

/** The cut-off: a line between what is kept and what is not, that one drags or moves by keys. */
export function CutLine({ top, wall, k, moveTo, step, originOf }: CutLineProps) {
  const onMove = (event: PointerEvent): void => {
    if ((event.currentTarget as Element).hasPointerCapture(event.pointerId)) moveTo(event.clientY - originOf());
  };
  return (
    <div
      class="cut"
      style={{ transform: `translateY(${top}px)` }}
      role="slider"
      tabIndex={0}
      aria-label="The cut-off: how many images are kept"
      aria-orientation="vertical"
      aria-valuemin={1}
      aria-valuemax={wall.total}
      aria-valuenow={k}
      aria-valuetext={`${k} of ${wall.total} kept`}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        event.preventDefault();
        event.currentTarget.focus();
      }}
      onPointerMove={onMove}
      onKeyDown={(event) => {
        const by = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -1, ArrowRight: 1, PageUp: -50, PageDown: 50 }[event.key];
        if (by === undefined) return;
        step(event.shiftKey ? by * 10 : by);
        event.preventDefault();
        event.stopPropagation();
      }}
    >
      <span class="cut-text">
        <strong>{countText(k)} kept</strong>
        <span class="cut-more"> · {countText(wall.total - k)} ranked just outside</span>
      </span>
      <span class="grip" aria-hidden="true">
        <svg viewBox="0 0 24 24">
          <path d="M8 9l4-4 4 4M8 15l4 4 4-4" />
        </svg>
      </span>
    </div>
  );
}
