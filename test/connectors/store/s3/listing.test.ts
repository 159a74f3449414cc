import assert from "node:assert/strict";
import { test } from "node:test";
import { pageQuery, parsePage } from "../../../../connectors/store/s3/listing.js";

test("names that look like numbers stay names", () => {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix><KeyCount>3</KeyCount><MaxKeys>3</MaxKeys><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>
<Contents><Key>00012</Key><LastModified>2026-11-24T05:00:00Z</LastModified><ETag>&quot;0123456789e1&quot;</ETag><Size>7</Size></Contents>
<Contents><Size>0</Size><Key>1e5</Key></Contents>
<Contents><Key>a%2Fb%3D1</Key><Size>5368709120</Size></Contents></ListBucketResult>`;
  assert.deepEqual(parsePage(xml), {
    objects: [
      { key: "00012", sizeBytes: 7, modifiedMs: Date.UTC(2026, 10, 24, 5), etag: "0123456789e1" },
      { key: "1e5", sizeBytes: 0, modifiedMs: 0, etag: "" },
      { key: "a/b=1", sizeBytes: 5368709120, modifiedMs: 0, etag: "" },
    ],
    truncated: true,
  });
});

test("keys are taken as they are where the server did not encode them", () => {
  const xml = `<ListBucketResult><IsTruncated>false</IsTruncated><Contents><ETag>&#34;a&#34;</ETag>
<Key>a+b%2Fc &amp;amp; &lt;&#34;&#39;&#x1F600;é&gt;</Key><Size>1</Size></Contents><EncodingType></EncodingType></ListBucketResult>`;
  assert.deepEqual(parsePage(xml).objects, [{ key: `a+b%2Fc &amp; <"'😀é>`, sizeBytes: 1, modifiedMs: 0, etag: "a" }]);
});

test("an empty page is the last one", () => {
  const xml = `<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>`;
  assert.deepEqual(parsePage(xml), { objects: [], truncated: false });
});

test("a page's query is sorted by name, as signatures need it, and escaped", () => {
  assert.equal(
    pageQuery("a/b=", "a/b=c/d"),
    "encoding-type=url&list-type=2&max-keys=1000&prefix=a%2Fb%3D&start-after=a%2Fb%3Dc%2Fd",
  );
  assert.match(pageQuery("a (1)'*!", ""), /&prefix=a%20%281%29%27%2A%21$/);
  assert.equal(pageQuery("", ""), "encoding-type=url&list-type=2&max-keys=1000&prefix=");
});
