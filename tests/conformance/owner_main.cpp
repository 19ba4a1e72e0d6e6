// SPDX-License-Identifier: Apache-2.0
// The other process of the agents' conformance suite.
#include "conformance/owner.hpp"

int main(int count, char** arguments) {
  if (count != 2) {
    return 2;
  }
  kvferry::conformance::serve_owner(arguments[1]);
  return 0;
}
