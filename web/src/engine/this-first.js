// A method that passes `this` as the first argument of a function.
export function thisFirst(call) {
  return function (...args) {
    return call(this, ...args);
  };
}
