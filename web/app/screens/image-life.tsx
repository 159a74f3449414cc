import { useState } from "preact/hooks";
import type { Fate, ImageLife, Sighting } from "../../../schemas/api/images.ts";
import { go } from "../address.ts";
import { useAnswer } from "../answer.ts";
import type { ScreenProps } from "../app.tsx";
import { classUrl, withQuery } from "../calls.ts";
import { Picture } from "../parts/picture.tsx";
import { Failed, Loading } from "../parts/states.tsx";
import { saidText } from "../parts/verdicts.ts";
import { bytesText, probabilityText, shareText, timeText } from "../wording.ts";

/** An image through time: seen, scored, chosen or missed, and what people said of it. */
export function ImageLifeScreen({ address, watched }: ScreenProps) {
  const sha256 = address.steps[1];
  const life = useAnswer<ImageLife>(
    sha256 === undefined ? null : `/api/images/${encodeURIComponent(sha256)}`,
    watched.changes,
  );
  return (
    <section class="life">
      <Ask sha256={sha256 ?? ""} />
      {sha256 === undefined ? null : life.error !== null && life.value === null ? (
        <Failed error={life.error} />
      ) : life.value === null ? (
        <Loading label="Reading its life" />
      ) : (
        <Life life={life.value} />
      )}
    </section>
  );
}

function Ask({ sha256 }: { readonly sha256: string }) {
  const [text, setText] = useState(sha256);
  const [note, setNote] = useState<string | null>(null);
  const [isOver, setOver] = useState(false);
  const take = async (file: File | undefined): Promise<void> => {
    if (file === undefined) return;
    // Browsers give it to pages of this machine and of https alone.
    if (!window.isSecureContext) {
      setNote(
        `A dropped file is digested in the browser, which ${window.location.protocol}//${window.location.host} may not do: paste its SHA-256 (sha256sum ${file.name}).`,
      );
      return;
    }
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
    const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    setText(found);
    setNote(null);
    go(`/image/${found}`);
  };
  return (
    <header
      class={`screen-head ask${isOver ? " over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => {
        setOver(false);
      }}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        void take(event.dataTransfer?.files[0]);
      }}
    >
      <h1>Life of an image</h1>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const wanted = text
            .trim()
            .toLowerCase()
            .replace(/^sha256:/, "");
          if (/^[0-9a-f]{64}$/.test(wanted)) go(`/image/${wanted}`);
          else setNote("A SHA-256 has 64 hexadecimal digits. Of the first digits alone, the search finds it (Ctrl-K).");
        }}
      >
        <input
          type="text"
          class="digest"
          aria-label="SHA-256 of an image"
          placeholder="SHA-256 of an image"
          value={text}
          spellcheck={false}
          onInput={(event) => {
            setText(event.currentTarget.value);
          }}
        />
        <button type="submit">Look</button>
        <label class="button file">
          Choose or drop a file
          <input type="file" onChange={(event) => void take(event.currentTarget.files?.[0])} />
        </label>
      </form>
      {note === null ? (
        sha256 === "" ? (
          <p class="fine">
            Where was it seen, how was it scored, and by how much did it miss a version? A file is digested here and
            goes nowhere.
          </p>
        ) : null
      ) : (
        <p class="fine wrong" role="alert">
          {note}
        </p>
      )}
    </header>
  );
}

function Life({ life }: { readonly life: ImageLife }) {
  const { sha256, sightings, quarantine, fates, labels } = life;
  return (
    <div class="life-body">
      <div class="large">
        <Picture sha256={life.bytes === "there" ? sha256 : null} side={1024} alt="The image" />
        <p class="uri fine">{sha256}</p>
        {life.bytes === "there" ? (
          <a class="button" href={`/api/images/${sha256}/bytes`} download={sha256}>
            Save its bytes
          </a>
        ) : (
          <p class="fine">
            Its bytes are nowhere any more. Where it lies elsewhere now, <code>sluice relocate</code> says so.
          </p>
        )}
      </div>
      <ol class="timeline">
        {quarantine.map((one) => (
          <li key={`q${one.partition}/${one.offset}`} class="bad">
            <h2>Refused</h2>
            <p>
              {one.code}: {one.reason}
            </p>
            <p class="fine uri">{one.uri}</p>
            <p class="fine">
              offset {one.offset} of partition {one.partition}, {timeText(one.eventTimeMs)}
            </p>
          </li>
        ))}
        {sightings.map((one) => (
          <Seen key={`${one.teacher}/${one.partition}/${one.offset}`} one={one} />
        ))}
        {labels.map((label, at) => (
          <li key={`l${at}`} class="said">
            <h2>{saidText(label)}</h2>
            <p class="fine">{timeText(label.timeMs)}</p>
          </li>
        ))}
        {fates.length === 0 ? null : (
          <li>
            <h2>In versions</h2>
            <table class="fates">
              <thead>
                <tr>
                  <th>version</th>
                  <th>class</th>
                  <th class="number">its score</th>
                  <th class="number">cut-off</th>
                  <th>what became of it</th>
                </tr>
              </thead>
              <tbody>
                {fates.map((one) => (
                  <FateRow key={`${one.dataset}/${one.number}/${one.class}`} one={one} />
                ))}
              </tbody>
            </table>
          </li>
        )}
      </ol>
    </div>
  );
}

function Seen({ one }: { readonly one: Sighting }) {
  return (
    <li>
      <h2>{one.copied ? "Seen again" : one.retryOf === null ? "Seen and scored" : "Taken up again and scored"}</h2>
      <p class="uri">{one.uri}</p>
      <p class="fine">
        {timeText(one.eventTimeMs)} · offset {one.offset} of partition {one.partition} · {one.width} × {one.height},{" "}
        {bytesText(one.sizeBytes)} · bytes {one.bytes}
        {one.licence === null ? "" : ` · ${one.licence}`}
        {one.origin === null ? "" : ` · ${one.origin}`}
        {one.notes.length === 0 ? "" : ` · ${one.notes.join(", ")}`}
      </p>
      <p class="fine">
        teacher {one.teacherName} ({one.teacher.slice(0, 12)})
      </p>
      <ul class="bars">
        {one.scores.map(({ class: index, label, probability }) => (
          <li key={index}>
            <span>{label}</span>
            <span class="bar">
              <span style={{ width: `${100 * probability}%` }} />
            </span>
            <span class="number">{shareText(probability)}</span>
          </li>
        ))}
      </ul>
    </li>
  );
}

function FateRow({ one }: { readonly one: Fate }) {
  return (
    <tr class={one.rank === null ? "missed" : "chosen"}>
      <td>
        <a href={`/version/${encodeURIComponent(one.dataset)}/${one.number}`}>
          {one.dataset}/{one.number}
        </a>
      </td>
      <td>
        <a href={withQuery(classUrl(one.label), { dataset: one.dataset })}>{one.label}</a>
      </td>
      <td class="number">{probabilityText(one.probability)}</td>
      <td class="number">{probabilityText(one.cutoff)}</td>
      <td>{one.because}</td>
    </tr>
  );
}
