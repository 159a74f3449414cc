/** A page that one can send: pictures and style lie in the file itself, and nothing is fetched or run. */
export interface PicturePage {
  readonly title: string;
  /** Sentences below the title */
  readonly lead: readonly string[];
  readonly sections: readonly PageSection[];
}

export interface PageSection {
  readonly title: string;
  readonly lead: string;
  readonly lines: readonly PageLine[];
}

/** A sheet: a name, and pictures with what is said of each. */
export interface PageLine {
  readonly name: string;
  /** Pictures that there are; fewer may be shown */
  readonly total: number;
  readonly cells: readonly PageCell[];
}

export interface PageCell {
  readonly sha256: string;
  /** What stands below the picture */
  readonly caption: string;
  /** What is said where a pointer rests */
  readonly because: string;
}

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem } h2 { font-size: 1.1rem; margin: 2rem 0 .25rem; border-top: 1px solid var(--line); padding-top: 1rem }
h3 { font-size: .9rem; margin: 1rem 0 .4rem; font-weight: 600 } p { margin: .15rem 0 }
ul { display: flex; flex-wrap: wrap; gap: 8px; list-style: none; margin: 0; padding: 0 }
li { width: 120px; font-size: 11px; overflow-wrap: anywhere } li div { width: 120px; height: 100px; background: var(--soft); display: grid; place-items: center }
img { max-width: 96px; max-height: 96px; image-rendering: auto } code { font-size: 11px } .why { opacity: .75 }
`;

/** The page as HTML. `pictures`: `data:` addresses by digest; of what is not in it the digest alone is shown. */
export function picturePage(page: PicturePage, pictures: ReadonlyMap<string, string>): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${html(page.title)}</title>
<style>${STYLE}</style>
<h1>${html(page.title)}</h1>
${page.lead.map((sentence) => `<p>${html(sentence)}</p>`).join("\n")}
${page.sections.map((section) => sectionHtml(section, pictures)).join("\n")}
</html>
`;
}

function sectionHtml({ title, lead, lines }: PageSection, pictures: ReadonlyMap<string, string>): string {
  const sheets = lines
    .filter(({ total }) => total > 0)
    .map(({ name, total, cells }) => {
      const some = cells.length < total ? `, ${cells.length} shown` : "";
      return `<h3>${html(name)} (${total}${some})</h3>\n<ul>\n${cells.map((cell) => cellHtml(cell, pictures)).join("\n")}\n</ul>`;
    });
  return [`<h2>${html(title)}</h2>`, `<p>${html(lead)}</p>`, ...sheets].join("\n");
}

function cellHtml({ sha256, caption, because }: PageCell, pictures: ReadonlyMap<string, string>): string {
  const address = pictures.get(sha256);
  const picture = address === undefined ? "no bytes" : `<img alt="${sha256.slice(0, 12)}" src="${address}">`;
  return `<li><div>${picture}</div>${html(caption)}<br><code>${sha256.slice(0, 12)}</code><br><span class="why">${html(because)}</span></li>`;
}

function html(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)!};`);
}
