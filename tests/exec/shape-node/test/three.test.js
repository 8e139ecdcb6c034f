import assert from "node:assert";
import { test } from "node:test";
import { words } from "../src/words.js";

test("three", () => assert.strictEqual(words(" three  and more\n"), 3));
