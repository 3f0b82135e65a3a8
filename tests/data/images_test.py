"""Fashion-MNIST and CIFAR-10, where they are."""

import numpy as np
import pytest

from framework.data import cifar10, fashion_mnist, store


@pytest.mark.parametrize('module', [fashion_mnist, cifar10])
def test_a_folder_without_the_file_is_refused(module, tmp_path):
  name = module.FILE.name.split('/')[1]
  with pytest.raises(store.DataError, match=f'no {name} in'):
    module.load(tmp_path)


def test_clothes():
  if not store.there(fashion_mnist.FILE):
    pytest.skip(f'no {fashion_mnist.FILE.name} in {store.folder()}')
  data = fashion_mnist.load(train=600, test=200)
  assert data.x_train.shape == (600, 784) and data.x_test.shape == (200, 784)
  assert data.x_train.min() == 0 and data.x_train.max() == 1
  x, y = data.x_train, np.eye(10)[data.y_train]
  w = np.linalg.solve(x.T @ x + 30 * np.eye(784), x.T @ y)
  assert np.mean(np.argmax(data.x_test @ w, 1) == data.y_test) > 0.6
  with pytest.raises(store.DataError, match='1 to 12000'):
    fashion_mnist.load(train=12_001)


def test_colour_images():
  if not store.there(cifar10.FILE):
    pytest.skip(f'no {cifar10.FILE.name} in {store.folder()}')
  data = cifar10.load(images=300)
  assert data.x.shape == (300, 3072)
  # Labels of data_batch_1 begin so.
  assert data.y[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
  with pytest.raises(store.DataError, match='expected 1 to 4000'):
    cifar10.load(images=4001)
