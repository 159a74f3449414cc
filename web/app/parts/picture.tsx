import { useState } from "preact/hooks";
import { pictureUrl } from "../calls.ts";
import { useReturns } from "../live.ts";

interface PictureProps {
  readonly sha256: string | null;
  readonly side: 96 | 192 | 384 | 1024;
  readonly alt: string;
}

/** What became of a picture that was asked for */
interface Known {
  readonly of: string;
  readonly is: "there" | "gone";
  readonly small: boolean;
  /** How often the server had come back by then */
  readonly returns: number;
}

/** An image by its digest. Small pictures are shown pixel by pixel; one that is gone or does not decode says so. */
export function Picture({ sha256, side, alt }: PictureProps) {
  const [known, set] = useState<Known | null>(null);
  const returns = useReturns();
  // Of another image nothing is known yet, whatever became of the one before; nor of one that did not come before the server was away.
  const state =
    known !== null && known.of === sha256 && (known.is === "there" || known.returns === returns) ? known : null;
  if (sha256 === null || state?.is === "gone") {
    return (
      <span class="picture gone" role="img" aria-label={`${alt}: no picture`}>
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M3 3l18 18" />
        </svg>
      </span>
    );
  }
  return (
    <img
      class={`picture${state?.small === true ? " small" : ""}${state === null ? " coming" : ""}`}
      src={pictureUrl(sha256, side)}
      alt={alt}
      draggable={false}
      decoding="async"
      onLoad={(event) => {
        set({ of: sha256, returns, is: "there", small: event.currentTarget.naturalWidth <= 64 });
      }}
      onError={() => {
        set({ of: sha256, returns, is: "gone", small: false });
      }}
    />
  );
}
