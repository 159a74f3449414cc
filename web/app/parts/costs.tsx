import { useMemo, useState } from "preact/hooks";
import type { Live } from "../../../schemas/api/flow.ts";
import { useAnswer } from "../answer.ts";
import { bytesText, countText } from "../wording.ts";

interface Part {
  readonly objects: number;
  readonly sizeBytes: number;
}

interface Storage {
  readonly scores: Part;
  readonly packs: Part;
  readonly versions: Part;
  readonly other: Part;
  readonly all: Part;
}

const PARTS = { scores: "scores", packs: "image bytes", versions: "versions", other: "the rest" } as const;
/** What an hour of the machine costs: kept in this browser */
const PRICE = "sluice-price-an-hour";
const HOUR_MS = 3_600_000;

/** What is kept, and what an image costs: time of the last run, and bytes. `turn`: ms that the screen has been looked at. */
export function Costs({ now, turn }: { readonly now: Live; readonly turn: number }) {
  // It lists the store: once in a while is enough.
  const storage = useAnswer<Storage>("/api/storage", Math.floor(turn / 60_000));
  const parts = storage.value;
  // Records come all the time: bytes an image are those of when the store was listed.
  const archived = useMemo(() => now.archived, [parts]);
  const [price, setPrice] = useState(window.localStorage.getItem(PRICE) ?? "");
  const { run } = now;
  const images = run === null ? 0 : run.counts.scored + run.counts.copied;
  const tookMs = run === null ? 0 : run.atMs - run.startedMs;
  const msAnImage = images === 0 || tookMs === 0 ? null : tookMs / images;
  const perHour = Number(price.replace(",", "."));
  const aMillion = msAnImage === null || !(perHour > 0) ? null : (msAnImage * 1e6 * perHour) / HOUR_MS;
  return (
    <div class="cards">
      <article class="card">
        <h2>Kept</h2>
        {parts === null ? (
          <p class="fine">{storage.error === null ? "Listing the store …" : storage.error.message}</p>
        ) : (
          <>
            <p>
              <strong>{bytesText(parts.all.sizeBytes)}</strong> in {countText(parts.all.objects)} objects
            </p>
            <ul class="kept" aria-label="By what it is kept for">
              {(Object.keys(PARTS) as (keyof typeof PARTS)[]).map((name) => (
                <li key={name}>
                  <span>{PARTS[name]}</span>
                  <span class="bar">
                    <span style={{ width: `${(100 * parts[name].sizeBytes) / Math.max(1, parts.all.sizeBytes)}%` }} />
                  </span>
                  <span class="number">{bytesText(parts[name].sizeBytes)}</span>
                </li>
              ))}
            </ul>
          </>
        )}
      </article>
      <article class="card">
        <h2>An image costs</h2>
        <p>
          <strong>{msAnImage === null ? "–" : `${msAnImage.toPrecision(3)} ms`}</strong>{" "}
          <span class="fine">of the last run’s time</span>
        </p>
        <p>
          <strong>
            {parts === null || archived === 0 ? "–" : bytesText(Math.round(parts.scores.sizeBytes / archived))}
          </strong>{" "}
          <span class="fine">of scores</span>
          {parts === null || archived === 0 || parts.packs.sizeBytes === 0 ? null : (
            <>
              , <strong>{bytesText(Math.round(parts.packs.sizeBytes / archived))}</strong>{" "}
              <span class="fine">of kept images</span>
            </>
          )}
        </p>
        <label class="price">
          <span class="fine">An hour of this machine costs</span>
          <input
            type="text"
            inputMode="decimal"
            size={6}
            value={price}
            placeholder="0.40"
            aria-label="What an hour of this machine costs"
            onInput={(event) => {
              setPrice(event.currentTarget.value);
              window.localStorage.setItem(PRICE, event.currentTarget.value);
            }}
          />
        </label>
        {aMillion === null ? null : (
          <p>
            A million images: <strong>{aMillion.toFixed(aMillion < 10 ? 2 : 0)}</strong>
          </p>
        )}
      </article>
    </div>
  );
}
