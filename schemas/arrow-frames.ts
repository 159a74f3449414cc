/** Says that a message begins: a length of 4 bytes follows */
const CONTINUATION = -1;

/** Where members of a table stand in its list of places, bytes. Source: Arrow's Message.fbs and Schema.fbs. */
const MESSAGE = { kind: 6, header: 8, bodyBytes: 10, metadata: 12 };
const SCHEMA = { fields: 6, metadata: 8 };
const FIELD = { children: 14, metadata: 16 };
const RECORD_BATCH = { length: 4, nodes: 6, buffers: 8, buffersOfViews: 12 };
const FOOTER = { schema: 6, dictionaries: 8, batches: 10, metadata: 12 };
/** Of a batch's place in a footer: where its message begins, how long that is, and how long its body */
const BLOCK_BYTES = 24;
/** Before a message: its mark and its length */
const FRAME_BYTES = 8;
/** Of a column in a batch, and of a buffer: two numbers of 8 bytes each */
const NODE_BYTES = 16;
const KIND = { schema: 1, recordBatch: 3 };

/**
 * Looks at the lengths in an Arrow IPC stream of flat columns that is other people's bytes. Arrow's own reader takes each for true: one that is negative
 * or beyond all bytes keeps it for ever, or ends the process for want of memory. Throws TypeError for such a length, RangeError for a place outside.
 */
export function assertArrowFrames(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 4 <= bytes.length;) {
    let length = view.getInt32(at, true);
    at += 4;
    if (length === CONTINUATION && at + 4 <= bytes.length) {
      length = view.getInt32(at, true);
      at += 4;
    }
    if (length === 0) return;
    assertWithin(length, bytes.length - at);
    const { bodyBytes } = messageOf(
      new DataView(bytes.buffer, bytes.byteOffset + at, length),
      bytes.length - at - length,
    );
    at += length + bodyBytes;
  }
}

/**
 * The same of an Arrow IPC file, whose footer lies in [footerStart, footerEnd): it says what columns there are, and where batches are.
 */
export function assertArrowFooter(bytes: Uint8Array, footerStart: number, footerEnd: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + footerStart, footerEnd - footerStart);
  const footer = view.getInt32(0, true);
  const schemaAt = memberAt(view, footer, FOOTER.schema);
  if (schemaAt === null) throw new TypeError("a footer without columns");
  assertColumns(view, schemaAt + view.getInt32(schemaAt, true));
  vectorAt(view, footer, FOOTER.dictionaries, BLOCK_BYTES);
  vectorAt(view, footer, FOOTER.batches, BLOCK_BYTES);
  vectorAt(view, footer, FOOTER.metadata, 4);
}

/** The same of the batches of an Arrow IPC file that is there whole, whose footer has been looked at. */
export function assertArrowBatches(bytes: Uint8Array, footerStart: number, footerEnd: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + footerStart, footerEnd - footerStart);
  const { start, end } = vectorAt(view, view.getInt32(0, true), FOOTER.batches, BLOCK_BYTES);
  for (let at = start; at < end; at += BLOCK_BYTES) {
    const from = longAt(view, at) + FRAME_BYTES;
    const metadataBytes = view.getInt32(at + 8, true) - FRAME_BYTES;
    assertWithin(from, footerStart);
    assertWithin(metadataBytes, footerStart - from);
    const frame = new DataView(bytes.buffer, bytes.byteOffset + from - FRAME_BYTES, FRAME_BYTES);
    if (frame.getInt32(0, true) !== CONTINUATION || frame.getInt32(4, true) !== metadataBytes)
      throw new TypeError("a footer that names a place where no message begins");
    const message = new DataView(bytes.buffer, bytes.byteOffset + from, metadataBytes);
    // Where a footer points at another message, Arrow's reader reads that one for ever.
    if (messageOf(message, footerStart - from - metadataBytes).kind !== KIND.recordBatch)
      throw new TypeError("a footer that names something else for a batch");
  }
}

/** What one message is and how long its body, once all lengths in it were looked at; `left` bytes stand behind it. */
function messageOf(view: DataView, left: number): { readonly kind: number; readonly bodyBytes: number } {
  const message = view.getInt32(0, true);
  const kindAt = memberAt(view, message, MESSAGE.kind);
  const kind = kindAt === null ? 0 : view.getUint8(kindAt);
  const headerAt = memberAt(view, message, MESSAGE.header);
  if (headerAt === null) throw new TypeError("a message without its header");
  const header = headerAt + view.getInt32(headerAt, true);
  vectorAt(view, message, MESSAGE.metadata, 4);
  const bodyBytes = longAt(view, memberAt(view, message, MESSAGE.bodyBytes));
  assertWithin(bodyBytes, left);
  if (kind === KIND.schema) assertColumns(view, header);
  else if (kind === KIND.recordBatch) assertBatch(view, header, bodyBytes);
  else throw new TypeError(`a message of kind ${kind}, not a schema or a record batch`);
  return { kind, bodyBytes };
}

/** A batch's rows take a bit each at least; its columns lie in its body. */
function assertBatch(view: DataView, batch: number, bodyBytes: number): void {
  assertWithin(longAt(view, memberAt(view, batch, RECORD_BATCH.length)), 8 * bodyBytes);
  const nodes = vectorAt(view, batch, RECORD_BATCH.nodes, NODE_BYTES);
  for (let at = nodes.start; at < nodes.end; at += NODE_BYTES) assertWithin(longAt(view, at), 8 * bodyBytes);
  const buffers = vectorAt(view, batch, RECORD_BATCH.buffers, NODE_BYTES);
  for (let at = buffers.start; at < buffers.end; at += NODE_BYTES) {
    const offset = longAt(view, at);
    assertWithin(offset, bodyBytes);
    assertWithin(longAt(view, at + 8), bodyBytes - offset);
  }
  vectorAt(view, batch, RECORD_BATCH.buffersOfViews, 8);
}

/** Columns of columns are one deep here: a list's values have none themselves. */
function assertColumns(view: DataView, schema: number): void {
  vectorAt(view, schema, SCHEMA.metadata, 4);
  const fields = vectorAt(view, schema, SCHEMA.fields, 4);
  for (let at = fields.start; at < fields.end; at += 4) {
    for (const within of childrenOf(view, at + view.getInt32(at, true))) {
      if (childrenOf(view, within).length > 0) throw new TypeError("columns deeper than they are written");
    }
  }
}

/** Where the columns lie that a column has in it. */
function childrenOf(view: DataView, field: number): number[] {
  vectorAt(view, field, FIELD.metadata, 4);
  const { start, end } = vectorAt(view, field, FIELD.children, 4);
  return Array.from({ length: (end - start) / 4 }, (_, at) => start + 4 * at + view.getInt32(start + 4 * at, true));
}

/** 0 where a table leaves it out */
function longAt(view: DataView, at: number | null): number {
  return at === null ? 0 : Number(view.getBigInt64(at, true));
}

/** Where a member of a table lies; null where the table leaves it out. */
function memberAt(view: DataView, table: number, member: number): number | null {
  const places = table - view.getInt32(table, true);
  // Signed, as Arrow's reader takes them.
  const place = member < view.getInt16(places, true) ? view.getInt16(places + member, true) : 0;
  return place === 0 ? null : table + place;
}

/** Where the entries of a list lie. Throws TypeError where they would not fit into the message. */
function vectorAt(view: DataView, table: number, member: number, entryBytes: number): { start: number; end: number } {
  const at = memberAt(view, table, member);
  if (at === null) return { start: 0, end: 0 };
  const vector = at + view.getInt32(at, true);
  const start = vector + 4;
  const end = start + view.getInt32(vector, true) * entryBytes;
  assertWithin(end - start, view.byteLength - start);
  return { start, end };
}

function assertWithin(length: number, left: number): void {
  if (length >= 0 && length <= left) return;
  throw new TypeError(`a length of ${length} in its frames, where ${left} bytes are left`);
}
